#include "posix/runtime.h"

#include "base/assert.h"
#include "posix/internal/asio_services.h"
#include "posix/internal/blocking_pool.h"
#include "posix/internal/pool_file_io.h"
#include "posix/internal/posix_clock.h"
#include "posix/internal/posix_disk.h"
#include "posix/internal/posix_entropy.h"
#include "posix/internal/posix_network.h"
#include "posix/internal/reactor.h"
#include "posix/internal/uring_file_io.h"

namespace kvstore::posix {
namespace {

// What on_closed() and ended waits may still want to do when a runtime is destroyed.
constexpr int kFarewellTurnsMax = 1000;

}  // namespace

// Members are destroyed from the last to the first: threads end before what they post to.
struct Runtime::Core {
    explicit Core(const RuntimeOptions& options)
        : scheduler([this] { reactor.wake(); }),
          pool(scheduler, options.blocking_threads),
          pool_io(pool),
          uring_io(options.use_io_uring ? UringFileIo::try_open(scheduler, reactor) : nullptr),
          services(scheduler),
          entropy(),
          disk(options.root_directory, pool, file_io()),
          network(
              {.scheduler = scheduler, .reactor = reactor, .clock = clock, .services = services},
              {.input_bytes_max = options.input_bytes_max,
               .sweep_interval = options.sweep_interval}),
          env{.scheduler = scheduler,
              .clock = clock,
              .disk = disk,
              .network = network,
              .entropy = entropy} {}

    [[nodiscard]] FileIo& file_io() {
        return uring_io != nullptr ? static_cast<FileIo&>(*uring_io) : pool_io;
    }
    void run_turn();
    void take_in_events();

    Reactor reactor;
    PosixClock clock;
    async::Scheduler scheduler;
    BlockingPool pool;
    PoolFileIo pool_io;
    std::unique_ptr<UringFileIo> uring_io;  // null where the kernel has none
    AsioServices services;
    PosixEntropy entropy;
    PosixDisk disk;
    PosixNetwork network;
    env::Env env;
    bool is_running = false;
    bool is_stopped = false;
};

// Waits for what the world brings, unless there is work at hand, and runs one turn of it.
void Runtime::Core::run_turn() {
    // Announced before looking for work: what other threads post from here on wakes us, and what
    // they posted before is seen.
    reactor.prepare_to_sleep();
    Duration timeout = Duration::zero();
    if (scheduler.has_work() || network.has_unread()) {
        reactor.woke_up();
    } else {
        // As of now rather than of the turn's beginning, which may be a while ago.
        clock.refresh();
        timeout = clock.until_next_timer().value_or(Duration(-1));
    }
    const bool has_events = reactor.wait(timeout);
    reactor.woke_up();
    clock.refresh();
    // The kernel may have ended the wait to hand over completions, without an event: it makes one
    // afterwards, which would cost a turn of its own.
    const bool has_completions = uring_io != nullptr && uring_io->has_completions();
    // Inside the turn, so that whatever events cause is seen by its end.
    if (has_events || has_completions || clock.has_due_timer() || network.has_unread()) {
        scheduler.post([this] { take_in_events(); });
    }
    scheduler.run_turn();
}

void Runtime::Core::take_in_events() {
    // What is left of the last turn comes first; what this turn leaves waits for the next one.
    network.read_unread();
    reactor.dispatch();
    if (uring_io != nullptr) {
        uring_io->take_completions();
    }
    clock.fire_due_timers();
}

Runtime::Runtime(const RuntimeOptions& options) : core_(std::make_unique<Core>(options)) {}

Runtime::~Runtime() {
    KVSTORE_ASSERT(!core_->is_running);
    core_->network.stop();
    for (int i = 0; i < kFarewellTurnsMax && core_->scheduler.has_work(); ++i) {
        core_->scheduler.run_turn();
    }
}

env::Env& Runtime::env() {
    return core_->env;
}

void Runtime::run() {
    KVSTORE_ASSERT(!core_->is_running);
    core_->is_running = true;
    core_->is_stopped = false;
    core_->clock.refresh();
    while (!core_->is_stopped) {
        core_->run_turn();
    }
    core_->is_running = false;
}

void Runtime::stop() {
    core_->is_stopped = true;
}

void Runtime::run_until_done(async::Task<void> work, const bool* is_done) {
    KVSTORE_ASSERT(!core_->is_running);
    core_->is_running = true;
    core_->clock.refresh();
    core_->scheduler.post([task = std::move(work)]() mutable { async::spawn(std::move(task)); });
    while (!*is_done) {
        core_->run_turn();
    }
    core_->is_running = false;
}

Status Runtime::on_signal(int signal, Callback<void()> action) {
    return core_->services.on_signal(signal, std::move(action));
}

bool Runtime::uses_io_uring() const {
    return core_->uring_io != nullptr;
}

}  // namespace kvstore::posix

#include "posix/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

namespace kvstore::posix {
namespace {

constexpr int kCouldNotRun = 127;

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }

    void close() {
        if (number_ >= 0) {
            (void)::close(std::exchange(number_, -1));
        }
    }
    [[nodiscard]] int number() const { return number_; }
    [[nodiscard]] bool is_open() const { return number_ >= 0; }

private:
    int number_;
};

Status error_of(int number, const std::string& what) {
    return {number == ENOENT ? Code::kNotFound : Code::kIoError,
            what + ": " + std::strerror(number)};
}

// What the child needs, prepared before the fork: behind it only calls are allowed that are safe in
// a signal handler, since other threads may have held locks.
struct Plan {
    const char* program;
    char* const* words;
    int input;
    int output;  // -1: ours
    int report;
    pid_t parent;
};

[[noreturn]] void fail_child(int report) {
    const int why = errno;
    (void)!::write(report, &why, sizeof why);
    ::_exit(kCouldNotRun);
}

[[noreturn]] void become(const Plan& plan) {
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::setpgid(0, 0) != 0 || ::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) {
        fail_child(plan.report);
    }
    // The parent may have gone before it was watched.
    if (::getppid() != plan.parent) {
        ::_exit(kCouldNotRun);
    }
    const bool has_streams = ::dup2(plan.input, STDIN_FILENO) >= 0 &&
                             (plan.output < 0 || (::dup2(plan.output, STDOUT_FILENO) >= 0 &&
                                                  ::dup2(plan.output, STDERR_FILENO) >= 0));
    if (!has_streams || ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
        fail_child(plan.report);
    }
    (void)::execv(plan.program, plan.words);
    fail_child(plan.report);
}

int code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<Process> Process::start(const ProcessOptions& options) {
    KVSTORE_ASSERT(!options.words.empty());
    const Descriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Descriptor output(
        options.output_file.empty()
            ? -1
            : ::open(options.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!options.output_file.empty() && !output.is_open()) {
        return error_of(errno, options.output_file);
    }
    int ends[2];
    if (!input.is_open() || ::pipe2(ends, O_CLOEXEC) != 0) {
        return error_of(errno, options.program);
    }
    const Descriptor read_end(ends[0]);
    Descriptor write_end(ends[1]);

    std::vector<std::string> words = options.words;
    std::vector<char*> pointers;
    for (std::string& word : words) {
        pointers.push_back(word.data());
    }
    pointers.push_back(nullptr);
    const Plan plan{.program = options.program.c_str(),
                    .words = pointers.data(),
                    .input = input.number(),
                    .output = output.number(),
                    .report = write_end.number(),
                    .parent = ::getpid()};
    const pid_t id = ::fork();
    if (id < 0) {
        return error_of(errno, options.program);
    }
    if (id == 0) {
        become(plan);
    }
    write_end.close();
    Process process(id);
    // Closed without a word by the program's beginning.
    int why = 0;
    ssize_t size = 0;
    do {
        size = ::read(read_end.number(), &why, sizeof why);
    } while (size < 0 && errno == EINTR);
    if (size == static_cast<ssize_t>(sizeof why)) {
        return error_of(why, options.program);
    }
    return process;
}

Process& Process::operator=(Process&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(exit_code_, other.exit_code_);
    return *this;
}

Process::~Process() {
    if (is_running()) {
        send_signal(SIGKILL);
        (void)wait_end(Duration::max());
    }
}

bool Process::is_running() {
    if (id_ <= 0 || exit_code_.has_value()) {
        return false;
    }
    int status = 0;
    if (::waitpid(id_, &status, WNOHANG) == id_) {
        exit_code_ = code_of(status);
    }
    return !exit_code_.has_value();
}

void Process::send_signal(int signal) {
    if (is_running()) {
        (void)::kill(id_, signal);
    }
}

bool Process::wait_end(Duration patience) {
    if (!is_running()) {
        return true;
    }
    // The wrapper of this C library is not for C++.
    const Descriptor watched(static_cast<int>(::syscall(SYS_pidfd_open, id_, 0)));
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(
        std::min<Duration>(patience, std::chrono::hours(1)));
    pollfd poll{.fd = watched.number(), .events = POLLIN, .revents = 0};
    (void)::poll(&poll, 1, static_cast<int>(ms.count()));
    return !is_running();
}

}  // namespace kvstore::posix

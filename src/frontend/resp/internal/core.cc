#include "frontend/resp/internal/core.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"

namespace kvstore::resp {
namespace {

// What the pool keeps; more is freed.
constexpr std::size_t kFreeSlotsMax = 16'384;
constexpr std::size_t kKeptReplyBytesMax = 4096;

// Beyond this, error codes are counted under one name: they come from clients' input nowhere, but a
// map without a bound is not worth the trust.
constexpr std::size_t kErrorCodesMax = 128;

// Tells a client that there are too many, and closes.
class Refusal final : public env::ConnectionHandler {
public:
    void on_input(env::Connection& connection) override {
        connection.consume(connection.input().size());
    }
    void on_closed(env::Connection& /*connection*/, const Status& /*reason*/) override {}
};

std::string hexadecimal(std::uint64_t number) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) {
        text.push_back(kDigits[(number >> static_cast<unsigned>(shift)) & 0xfU]);
    }
    return text;
}

}  // namespace

Core::Core(kv::Kv& kv, Options options, metrics::Registry& registry)
    : kv_(kv),
      options_(std::move(options)),
      applies_at_once_(options_.durability == "memory"),
      idle_(kv.env().scheduler),
      command_statistics_(CommandTable::all().size()),
      started_ms_(kv.now_ms()),
      last_save_ms_(started_ms_),
      random_state_(kv.env().entropy.next()),
      commands_total_(registry.add_counter("kvstore_resp_commands_total",
                                           "Commands of Redis clients that were taken.")),
      errors_total_(registry.add_counter("kvstore_resp_errors_total",
                                         "Errors that Redis clients were told.")),
      connections_total_(registry.add_counter("kvstore_resp_connections_total",
                                              "Connections of Redis clients since the start.")),
      connections_open_(registry.add_gauge("kvstore_resp_connections_open",
                                           "Connections of Redis clients now.")) {
    for (int i = 0; i < 2; ++i) {
        run_id_ += hexadecimal(random());
    }
    run_id_ += hexadecimal(random()).substr(0, 8);
}

Core::~Core() {
    KVSTORE_ASSERT(first_session_ == nullptr);
    KVSTORE_ASSERT(taken_slot_count_ == 0);
    while (free_slots_ != nullptr) {
        delete std::exchange(free_slots_, free_slots_->next);
    }
}

std::unique_ptr<env::ConnectionHandler> Core::accept(env::Connection& connection) {
    if (is_stopping_) {
        return nullptr;
    }
    ++statistics_.connections;
    connections_total_.add();
    if (session_count_ >= options_.connections_max) {
        ++statistics_.rejected_connections;
        connection.output().append("-ERR max number of clients reached\r\n");
        connection.flush_later();
        connection.close(env::Connection::CloseMode::kAfterFlush);
        return std::make_unique<Refusal>();
    }
    auto session = std::make_unique<Session>(*this, connection, ++last_session_id_);
    session->next = first_session_;
    if (first_session_ != nullptr) {
        first_session_->previous = session.get();
    }
    first_session_ = session.get();
    ++session_count_;
    connections_open_.set(static_cast<std::int64_t>(session_count_));
    return session;
}

void Core::remove(Session& session) {
    if (session.previous != nullptr) {
        session.previous->next = session.next;
    } else {
        first_session_ = session.next;
    }
    if (session.next != nullptr) {
        session.next->previous = session.previous;
    }
    --session_count_;
    connections_open_.set(static_cast<std::int64_t>(session_count_));
    if (session.is_resume_due) {
        std::erase(to_resume_, &session);
    }
    note_idle();
}

async::Task<void> Core::stop() {
    is_stopping_ = true;
    if (pause_timer_ != env::TimerId()) {
        env().clock.cancel_timer(pause_timer_);
    }
    if (request_timer_ != env::TimerId()) {
        env().clock.cancel_timer(request_timer_);
    }
    for (Session* session = first_session_; session != nullptr;) {
        Session* const next = session->next;  // closing may remove it
        session->close_now();
        session = next;
    }
    if (session_count_ > 0 || taken_slot_count_ > 0) {
        co_await idle_;
    }
}

void Core::note_idle() {
    if (is_stopping_ && session_count_ == 0 && taken_slot_count_ == 0) {
        idle_.set();
    }
}

std::uint64_t Core::turn_ms() {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(env().clock.now().time_since_epoch())
            .count());
}

std::uint64_t Core::random() {
    random_state_ += 0x9e3779b97f4a7c15ULL;
    return mix64(random_state_);
}

// ---- slots ----

Slot& Core::take_slot() {
    ++taken_slot_count_;
    if (free_slots_ == nullptr) {
        return *std::make_unique<Slot>(*this).release();
    }
    Slot& slot = *std::exchange(free_slots_, free_slots_->next);
    --free_slot_count_;
    slot.next = nullptr;
    return slot;
}

void Core::release(Slot& slot) {
    --taken_slot_count_;
    if (free_slot_count_ >= kFreeSlotsMax || slot.reply.capacity() > kKeptReplyBytesMax ||
        slot.byte_count > kKeptReplyBytesMax) {
        delete &slot;
    } else {
        slot.reply.clear();
        slot.transaction.reset();
        slot.keyspace.reset();
        slot.is_uncertain_read = false;
        slot.byte_count = 0;
        slot.session = nullptr;
        slot.next = free_slots_;
        free_slots_ = &slot;
        ++free_slot_count_;
    }
    if (is_stopping_) {
        note_idle();
    }
}

mvcc::Command& Core::scratch_command() {
    scratch_command_.conditions.clear();
    scratch_command_.operations.clear();
    scratch_command_.else_operations.clear();
    return scratch_command_;
}

Bytes& Core::scratch_reply() {
    scratch_reply_.clear();
    return scratch_reply_;
}

// ---- coroutines ----

void Core::load(Slot& slot) {
    async::spawn(run_load(&slot));
}

async::Task<void> Core::run_load(Slot* slot) {
    const Arguments arguments = slot->arguments.views();
    const KeyPositions positions(*slot->spec, arguments.size());
    std::vector<Bytes> keys;
    for (std::size_t i = 0; i < positions.count(); ++i) {
        keys.emplace_back(arguments[positions.at(i)]);
    }
    kv::CallContext context;
    if (slot->session != nullptr) {
        context = slot->session->reads();
    }
    const kv::KeyspaceHandle keyspace = slot->keyspace;
    const auto found = co_await kv_.get_many(context, keyspace, std::move(keys));
    if (!found.ok()) {
        slot->answer.reply.status(found.status());
    } else if (slot->session != nullptr) {
        std::vector<LoadedRecord> records;
        for (const auto& value : *found) {
            LoadedRecord& record = records.emplace_back();
            if (value) {
                record = {.present = true, .record = value->record};
                record.record.value = value->value;
            }
        }
        Call call(*this, *slot->session, *slot->spec, slot->arguments.views(), slot->answer.reply);
        call.use_loaded(records);
        const Outcome outcome = slot->spec->handler(call);
        KVSTORE_ASSERT(outcome == Outcome::kReplied);
    }
    slot->finish();
}

void Core::start(Slot& slot,
                 Arguments arguments,
                 kv::KeyspaceHandle keyspace,
                 AwaitedHandler handler) {
    auto call = std::make_unique<AwaitedCall>(AwaitedCall{.core = *this,
                                                          .keyspace = std::move(keyspace),
                                                          .context = slot.session->reads(),
                                                          .owned = {},
                                                          .reply = slot.answer.reply,
                                                          .slot = &slot});
    call->owned.assign(arguments);
    async::spawn(run_awaited(&slot, std::move(call), handler));
}

async::Task<void> Core::run_awaited(Slot* slot,
                                    std::unique_ptr<AwaitedCall> call,
                                    AwaitedHandler handler) {
    co_await handler(call.get());
    slot->finish();
}

void Core::finish_transaction(Slot& slot) {
    async::spawn(run_transaction_rest(&slot));
}

async::Task<void> Core::run_transaction_rest(Slot* slot) {
    const kv::CallContext context =
        slot->session != nullptr ? slot->session->reads() : kv::CallContext();
    for (TransactionStep& step : slot->transaction->steps()) {
        if (step.awaited == nullptr) {
            continue;
        }
        auto call = std::make_unique<AwaitedCall>(
            AwaitedCall{.core = *this,
                        .keyspace = slot->transaction->keyspace(),
                        .context = context,
                        .owned = {},
                        .reply = ReplyWriter(step.reply, slot->answer.reply.protocol(), this),
                        .slot = slot});
        call->owned.assign(step.arguments.views());
        co_await step.awaited(call.get());
    }
    slot->transaction->write_reply(slot->answer.reply);
    slot->finish();
}

// ---- clients ----

void Core::resume_later(Session& session) {
    if (session.is_resume_due) {
        return;
    }
    session.is_resume_due = true;
    to_resume_.push_back(&session);
    if (!is_resume_posted_) {
        is_resume_posted_ = true;
        ++taken_slot_count_;  // so that stop() waits for the posted call
        env().scheduler.post([this] { resume_sessions(); });
    }
}

void Core::resume_sessions() {
    is_resume_posted_ = false;
    --taken_slot_count_;
    // One that closes meanwhile takes itself out of the list.
    while (!to_resume_.empty()) {
        Session* const session = to_resume_.back();
        to_resume_.pop_back();
        session->is_resume_due = false;
        session->resume();
        if (is_resume_posted_) {
            return;  // the rest goes on with the new ones
        }
    }
    note_idle();
}

void Core::watch_unfinished_requests() {
    if (request_timer_ == env::TimerId()) {
        request_timer_ = env().clock.start_timer(env().clock.now() + options_.request_timeout,
                                                 [this] { end_overdue_requests(); });
    }
}

void Core::end_overdue_requests() {
    request_timer_ = env::TimerId();
    const MonotonicTime now = env().clock.now();
    MonotonicTime next_due = MonotonicTime::max();
    for (Session* session = first_session_; session != nullptr;) {
        Session* const next = session->next;  // closing may remove it
        const MonotonicTime due = session->request_due();
        if (due <= now) {
            session->give_up_request();
        } else {
            next_due = std::min(next_due, due);
        }
        session = next;
    }
    if (next_due != MonotonicTime::max()) {
        request_timer_ = env().clock.start_timer(next_due, [this] { end_overdue_requests(); });
    }
}

void Core::pause_until(std::uint64_t ms) {
    if (pause_timer_ != env::TimerId()) {
        env().clock.cancel_timer(std::exchange(pause_timer_, env::TimerId()));
    }
    const std::uint64_t now = now_ms();
    is_paused_ = ms > now;
    if (is_paused_) {
        const auto span = std::chrono::milliseconds(ms - now);
        pause_timer_ = env().clock.start_timer(env().clock.now() + span, [this] {
            pause_timer_ = env::TimerId();
            pause_until(0);
        });
        return;
    }
    for (Session* session = first_session_; session != nullptr; session = session->next) {
        resume_later(*session);
    }
}

// ---- statistics ----

void Core::count_error(std::string_view error) {
    ++statistics_.errors;
    errors_total_.add();
    const std::string_view code = error.substr(0, error.find(' '));
    const auto place = errors_.find(code);
    if (place != errors_.end()) {
        ++place->second;
    } else if (errors_.size() < kErrorCodesMax) {
        errors_.emplace(code, 1);
    }
}

void Core::reset_statistics() {
    statistics_ = {};
    errors_.clear();
    command_statistics_.assign(command_statistics_.size(), {});
}

// ---- the server ----

RespServer::RespServer(kv::Kv& kv, Options options, metrics::Registry& registry)
    : core_(std::make_unique<Core>(kv, std::move(options), registry)) {}

RespServer::~RespServer() = default;

std::unique_ptr<env::ConnectionHandler> RespServer::accept(env::Connection& connection) {
    return core_->accept(connection);
}

async::Task<void> RespServer::stop() {
    return core_->stop();
}

}  // namespace kvstore::resp

#include "frontend/resp/internal/session.h"

#include <utility>

#include "base/assert.h"
#include "frontend/resp/internal/core.h"

namespace kvstore::resp {
namespace {

// Input above this stays with the operating system while nothing is parsed.
constexpr std::size_t kIdleInputMax = 256U << 10U;

// Requests that are parsed before the first of them runs. Enough to hide a memory access, few
// enough to stay in the first level cache.
constexpr std::size_t kLookAhead = 16;

// Room for more arguments is given back.
constexpr std::size_t kKeptArgumentsMax = 4096;

// The part of an unknown command that its error shows.
constexpr std::size_t kShownBytesMax = 128;

std::string unknown_command_text(Arguments arguments) {
    std::string text = "ERR unknown command '";
    text += arguments[0].substr(0, kShownBytesMax);
    text += "', with args beginning with: ";
    std::string shown;
    for (std::size_t i = 1; i < arguments.size() && shown.size() < kShownBytesMax; ++i) {
        shown += "'";
        shown += arguments[i].substr(0, kShownBytesMax - shown.size());
        shown += "' ";
    }
    return text + shown;
}

// Whether a read answers in the turn in which it is run.
bool answers_at_once(kv::Keyspace& keyspace) {
    return !keyspace.is_dropped() &&
           std::ranges::all_of(keyspace.shards(), [](const kv::ShardHandle& shard) {
               return shard->group().can_read_now() &&
                      shard->group().shard().engine().is_resident();
           });
}

}  // namespace

Session::Session(Core& core, env::Connection& connection, std::uint64_t id)
    : core_(core),
      connection_(connection),
      id_(id),
      keyspace_(core.kv().default_keyspace()),
      is_paused_(core.is_paused()) {
    reads_.session = std::make_shared<kv::SessionToken>();
    facts_.connected_ms = core.now_ms();
    facts_.last_used_ms = core.turn_ms();
}

Session::~Session() {
    KVSTORE_ASSERT(first_ == nullptr);
}

// ---- the connection ----

void Session::on_input(env::Connection& /*connection*/) {
    if (!can_parse()) {
        is_stalled_ = true;
        unfinished_since_.reset();
        if (connection_.input().size() > kIdleInputMax && !is_input_paused_) {
            is_input_paused_ = true;
            connection_.pause_input();
        }
        return;
    }
    process();
}

void Session::on_output_drained(env::Connection& /*connection*/) {
    wake_when_possible();
}

void Session::on_input_end(env::Connection& /*connection*/) {
    has_input_ended_ = true;
    if (can_parse()) {
        process();
    } else {
        is_stalled_ = true;
    }
}

void Session::on_closed(env::Connection& /*connection*/, const Status& /*reason*/) {
    is_closing_ = true;
    while (first_ != nullptr) {
        Slot& slot = *first_;
        first_ = slot.next;
        slot.next = nullptr;
        slot.session = nullptr;
        const bool is_under_way =
            slot.state == Slot::State::kPending || slot.state == Slot::State::kRunning;
        if (!is_under_way) {
            core_.release(slot);
        }
    }
    last_ = nullptr;
    slot_count_ = 0;
    core_.remove(*this);
}

void Session::close_after_replies() {
    is_closing_ = true;
    if (!has_slots() && !is_processing_) {
        connection_.flush_later();
        connection_.close(env::Connection::CloseMode::kAfterFlush);
    }
}

void Session::close_now() {
    is_closing_ = true;
    connection_.close(env::Connection::CloseMode::kNow);
}

void Session::select(unsigned database, kv::KeyspaceHandle keyspace) {
    database_ = database;
    keyspace_ = std::move(keyspace);
}

// What was read before, at whatever level, was of the replica here or of an older state.
void Session::use_consistency(kv::Consistency level, Duration max_staleness) {
    reads_.consistency = level;
    reads_.max_staleness = max_staleness;
    if (!is_readonly()) {
        return;
    }
    for (const kv::ShardHandle& shard : keyspace_->shards()) {
        if (shard->group().has_replica()) {
            reads_.session->note(shard->id(), shard->group().shard().state().revision);
        }
    }
}

void Session::reset() {
    transaction_.close();
    select(0, core_.kv().default_keyspace());
    protocol_ = Protocol::kResp2;
    reply_mode_ = ReplyMode::kOn;
    reads_ = {};
    reads_.session = std::make_shared<kv::SessionToken>();
    facts_.name.clear();
    facts_.is_no_evict = false;
    facts_.is_no_touch = false;
}

ReplyWriter Session::writer(Bytes& to) {
    return {to, protocol_, &core_};
}

// ---- parse ----

bool Session::can_parse() const {
    return !is_closing_ && !is_awaiting_ && !is_paused_ && (!needs_no_slots_ || !has_slots()) &&
           slot_count_ < core_.options().commands_waiting_max &&
           waiting_bytes_ < core_.options().waiting_bytes_max &&
           connection_.output_size() <= env::Connection::kOutputHighWater;
}

void Session::process() {
    if (is_processing_) {
        return;
    }
    is_processing_ = true;
    is_stalled_ = false;
    needs_no_slots_ = false;
    const ByteView input = connection_.input();
    std::size_t taken = 0;
    bool is_done = false;
    while (!is_done) {
        if (!can_parse()) {
            is_stalled_ = true;
            break;
        }
        const RequestParser::Outcome outcome = gather(input, taken);
        const std::size_t run = run_gathered(taken);
        if (run < gathered_.size()) {
            parser_.rewind();
            is_stalled_ = true;
            break;
        }
        is_done = outcome != RequestParser::Outcome::kRequest;
        if (outcome == RequestParser::Outcome::kError) {
            reply_in_turn("ERR Protocol error: " + std::string(parser_.error()));
            is_closing_ = true;
        }
    }
    connection_.consume(taken);
    if (gathered_arguments_.capacity() > kKeptArgumentsMax) {
        gathered_arguments_ = {};
    }
    is_processing_ = false;
    end_processing(taken);
}

// Parses a few requests before any of them runs, so that memory fetches their records meanwhile.
// Returns: what came of the last; with kRequest there may be more.
RequestParser::Outcome Session::gather(ByteView input, std::size_t from) {
    gathered_.clear();
    gathered_arguments_.clear();
    while (gathered_.size() < kLookAhead) {
        const RequestParser::Outcome outcome = parser_.parse(input.substr(from));
        if (outcome != RequestParser::Outcome::kRequest) {
            return outcome;
        }
        const bool is_inline = input[from] != '*';
        const Arguments arguments = parser_.arguments();
        gathered_.push_back(
            {.spec = arguments.empty() ? nullptr : CommandTable::find(arguments.front()),
             .first = gathered_arguments_.size(),
             .count = arguments.size(),
             .end = 0});
        gathered_arguments_.insert(gathered_arguments_.end(), arguments.begin(), arguments.end());
        from += parser_.advance();
        gathered_.back().end = from;
        if (gathered_.size() > 1) {
            if (gathered_.size() == 2) {
                hint_at_key(gathered_.front());
            }
            hint_at_key(gathered_.back());
        }
        if (is_inline) {
            break;  // its words stand in the parser, until that parses again
        }
    }
    return RequestParser::Outcome::kRequest;
}

void Session::hint_at_key(const Gathered& request) {
    const bool has_key = request.spec != nullptr && request.spec->first_key > 0 &&
                         static_cast<std::size_t>(request.spec->first_key) < request.count;
    if (!has_key || keyspace_->is_dropped() ||
        (request.spec->kind != CommandKind::kRead && !core_.applies_at_once())) {
        return;
    }
    const auto at = static_cast<std::size_t>(request.spec->first_key);
    const ByteView key = gathered_arguments_[request.first + at];
    replication::Group& group = keyspace_->shard_of(key)->group();
    if (group.has_replica()) {
        group.shard().engine().hint(storage::Table::kCurrent, key);
    }
}

// Returns: how many were taken; `taken` is behind the last of them. Fewer than were gathered: the
// next has to wait.
std::size_t Session::run_gathered(std::size_t& taken) {
    for (std::size_t i = 0; i < gathered_.size(); ++i) {
        const Gathered& request = gathered_[i];
        if (i > 0 && !can_parse()) {
            return i;
        }
        const Arguments arguments =
            Arguments(gathered_arguments_).subspan(request.first, request.count);
        if (!arguments.empty() && !dispatch(request.spec, arguments)) {
            needs_no_slots_ = true;
            return i;
        }
        taken = request.end;
    }
    return gathered_.size();
}

void Session::end_processing(std::size_t taken) {
    note_rest_of_input(taken);
    // Not before most of it is taken: with each pause more would have come than was taken since.
    const bool is_more_wanted = !is_stalled_ || connection_.input().size() <= kIdleInputMax;
    if (is_input_paused_ && is_more_wanted && !is_closing_) {
        is_input_paused_ = false;
        connection_.resume_input();
    }
    if (!is_stalled_ && !is_closing_) {
        if (connection_.input().size() > core_.options().request_bytes_max) {
            close_now();
            return;
        }
        if (parser_.wanted() > 0) {
            connection_.expect_input(parser_.wanted());
        }
    }
    if (connection_.output_size() > 0) {
        connection_.flush_later();
    }
    const bool is_over = is_closing_ || (has_input_ended_ && !is_stalled_);
    if (is_over && !has_slots()) {
        is_closing_ = true;
        connection_.close(env::Connection::CloseMode::kAfterFlush);
        return;
    }
    wake_when_possible();
}

void Session::note_rest_of_input(std::size_t taken) {
    if (is_stalled_ || is_closing_ || connection_.input().empty()) {
        unfinished_since_.reset();
    } else if (taken > 0 || !unfinished_since_) {
        unfinished_since_ = core_.env().clock.now();
        core_.watch_unfinished_requests();
    }
}

MonotonicTime Session::request_due() const {
    if (!unfinished_since_ || is_closing_) {
        return MonotonicTime::max();
    }
    const auto seconds = connection_.input().size() / Options::kRequestBytesPerSecond;
    return *unfinished_since_ + core_.options().request_timeout + std::chrono::seconds(seconds);
}

void Session::give_up_request() {
    reply_in_turn("ERR Protocol error: the request did not arrive in time");
    close_after_replies();
}

void Session::resume() {
    if (can_parse()) {
        process();
    }
}

// Input that was left is gone on with from the run queue, never from within a completion.
void Session::wake_when_possible() {
    if (is_stalled_ && !is_processing_ && can_parse()) {
        core_.resume_later(*this);
    }
}

// ---- dispatch ----

// Returns: false when the request must wait until all before it are answered.
bool Session::dispatch(const CommandSpec* spec, Arguments arguments) {
    if (spec == nullptr) {
        reject(nullptr, unknown_command_text(arguments));
        return true;
    }
    if (!arity_suits(*spec, arguments.size())) {
        reject(spec, "ERR wrong number of arguments for '" + std::string(spec->name) + "' command");
        return true;
    }
    if (transaction_.is_open() && (spec->flags & kFlagAtOnce) == 0) {
        return enqueue(*spec, arguments);
    }
    return run(*spec, arguments);
}

bool Session::enqueue(const CommandSpec& spec, Arguments arguments) {
    if ((spec.flags & kFlagNoMulti) != 0) {
        reject(&spec, "ERR Command not allowed inside a transaction");
        return true;
    }
    transaction_.add(spec, arguments);
    if (transaction_.byte_count() > core_.options().request_bytes_max) {
        close_now();
        return true;
    }
    if (!has_slots() && reply_mode_ == ReplyMode::kOn) {
        connection_.output().append("+QUEUED\r\n");
        return true;
    }
    Slot& slot = push_slot(spec, Slot::State::kDone);
    slot.reply = "+QUEUED\r\n";
    drain();
    return true;
}

void Session::reject(const CommandSpec* spec, std::string_view error) {
    if (spec != nullptr) {
        ++core_.statistics_of(*spec).rejected_calls;
    }
    transaction_.spoil();
    reply_in_turn(error);
}

void Session::reply_in_turn(std::string_view error) {
    if (!has_slots() && reply_mode_ == ReplyMode::kOn) {
        writer(connection_.output()).error(error);
        return;
    }
    Slot& slot = push_slot(*CommandTable::find("ping"), Slot::State::kDone);
    slot.answer.reply.error(error);
    drain();
}

bool Session::run(const CommandSpec& spec, Arguments arguments) {
    const bool is_plain = !has_slots() && reply_mode_ == ReplyMode::kOn;
    const bool done = is_plain ? run_first(spec, arguments) : run_behind_others(spec, arguments);
    if (done) {
        core_.count_call(spec);
        facts_.last_command = spec.name;
        facts_.last_used_ms = core_.turn_ms();
        if (reply_mode_ == ReplyMode::kSkipNext) {
            reply_mode_ = ReplyMode::kSkip;
        } else if (reply_mode_ == ReplyMode::kSkip) {
            reply_mode_ = ReplyMode::kOn;
        }
    }
    return done;
}

// Nothing is before it: its reply goes straight to the output.
bool Session::run_first(const CommandSpec& spec, Arguments arguments) {
    Bytes& output = connection_.output();
    const std::size_t mark = output.size();
    Call call(core_, *this, spec, arguments, writer(output));
    switch (spec.handler(call)) {
        case Outcome::kReplied:
            if (output.size() > mark && output[mark] == '-') {
                ++core_.statistics_of(spec).failed_calls;
            }
            return true;
        case Outcome::kSubmitted: return true;
        case Outcome::kMustLoad:
            output.resize(mark);
            load(spec, arguments);
            return true;
        case Outcome::kNotNow: break;
    }
    KVSTORE_ASSERT(false);  // nothing is before it
    return false;
}

bool Session::run_behind_others(const CommandSpec& spec, Arguments arguments) {
    if (spec.kind == CommandKind::kRead && pending_writes_ > 0) {
        defer(spec, arguments);
        return true;
    }
    if (spec.kind == CommandKind::kWrite && uncertain_reads_ > 0) {
        return false;
    }
    Bytes& scratch = core_.scratch_reply();
    Call call(core_, *this, spec, arguments, writer(scratch));
    switch (spec.handler(call)) {
        case Outcome::kReplied: {
            Slot& slot = push_slot(spec, Slot::State::kDone);
            slot.reply.swap(scratch);
            if (!slot.reply.empty() && slot.reply.front() == '-') {
                ++core_.statistics_of(spec).failed_calls;
            }
            drain();
            return true;
        }
        case Outcome::kSubmitted: return true;
        case Outcome::kMustLoad: load(spec, arguments); return true;
        case Outcome::kNotNow: break;
    }
    return false;
}

// ---- slots ----

Slot& Session::push_slot(const CommandSpec& spec, Slot::State state) {
    Slot& slot = core_.take_slot();
    slot.session = this;
    slot.spec = &spec;
    slot.state = state;
    slot.is_silent = reply_mode_ != ReplyMode::kOn && reply_mode_ != ReplyMode::kSkipNext;
    slot.answer.reply = writer(slot.reply);
    slot.answer.number = 0;
    if (last_ == nullptr) {
        first_ = &slot;
    } else {
        last_->next = &slot;
    }
    last_ = &slot;
    ++slot_count_;
    return slot;
}

void Session::pop_first() {
    Slot& slot = *first_;
    first_ = slot.next;
    if (first_ == nullptr) {
        last_ = nullptr;
    }
    --slot_count_;
    waiting_bytes_ -= slot.byte_count;
    if (slot.is_uncertain_read) {
        --uncertain_reads_;
    }
    core_.release(slot);
}

void Session::on_slot_done(Slot& slot) {
    if (slot.state == Slot::State::kPending) {
        --pending_writes_;
    }
    slot.state = Slot::State::kDone;
    if (is_awaiting_) {
        is_awaiting_ = false;  // it was the only one
    }
    drain();
    if (is_closing_ && !has_slots() && !is_processing_) {
        connection_.close(env::Connection::CloseMode::kAfterFlush);
        return;
    }
    wake_when_possible();
}

// Sends what is complete from the front on, and runs the reads that no write is before any more.
void Session::drain() {
    if (is_draining_) {
        return;
    }
    is_draining_ = true;
    Slot* slot = first_;
    bool has_written = false;
    while (slot != nullptr) {
        if (slot->state == Slot::State::kDone && slot == first_) {
            if (!slot->is_silent) {
                connection_.output().append(slot->reply);
                has_written = true;
            }
            pop_first();
            slot = first_;
            continue;
        }
        if (slot->state == Slot::State::kDeferred) {
            run_deferred(*slot);
            continue;
        }
        if (slot->state == Slot::State::kPending || deferred_reads_ == 0) {
            break;
        }
        slot = slot->next;
    }
    is_draining_ = false;
    if (has_written) {
        connection_.flush_later();
    }
}

// ---- reads ----

void Session::defer(const CommandSpec& spec, Arguments arguments) {
    Slot& slot = push_slot(spec, Slot::State::kDeferred);
    slot.arguments.assign(arguments);
    slot.keyspace = keyspace_;
    slot.byte_count = slot.arguments.byte_count();
    waiting_bytes_ += slot.byte_count;
    ++deferred_reads_;
    if (!answers_at_once(*keyspace_)) {
        slot.is_uncertain_read = true;
        ++uncertain_reads_;
    }
}

void Session::run_deferred(Slot& slot) {
    --deferred_reads_;
    slot.state = Slot::State::kDone;
    Call call(core_, *this, *slot.spec, slot.arguments.views(), slot.answer.reply);
    const Outcome outcome = slot.spec->handler(call);
    if (outcome == Outcome::kMustLoad) {
        slot.reply.clear();
        load(slot);
        return;
    }
    KVSTORE_ASSERT(outcome == Outcome::kReplied);  // reads do nothing else
    if (!slot.reply.empty() && slot.reply.front() == '-') {
        ++core_.statistics_of(*slot.spec).failed_calls;
    }
}

void Session::load(const CommandSpec& spec, Arguments arguments) {
    Slot& slot = push_slot(spec, Slot::State::kRunning);
    slot.arguments.assign(arguments);
    slot.keyspace = keyspace_;
    slot.byte_count = slot.arguments.byte_count();
    waiting_bytes_ += slot.byte_count;
    load(slot);
}

void Session::load(Slot& slot) {
    slot.state = Slot::State::kRunning;
    if (!slot.is_uncertain_read) {
        slot.is_uncertain_read = true;
        ++uncertain_reads_;
    }
    core_.load(slot);
}

// ---- writes ----

Slot& Session::push_write(const CommandSpec& spec) {
    Slot& slot = push_slot(spec, Slot::State::kPending);
    ++pending_writes_;
    return slot;
}

// A proposal that was refused is answered in its turn.
Outcome Session::submitted(Slot& slot, const Status& status) {
    if (!status.ok()) {
        slot.answer.reply.status(status);
        slot.finish();
    }
    return Outcome::kSubmitted;
}

Outcome Session::propose(const CommandSpec& spec,
                         const mvcc::Operation& operation,
                         const Finisher& finisher,
                         std::int64_t number) {
    Slot& slot = push_write(spec);
    slot.finisher = &finisher;
    slot.answer.number = number;
    return submitted(slot, core_.kv().submit(*keyspace_, operation, &slot, &slot.shard));
}

Outcome Session::propose(const CommandSpec& spec,
                         const mvcc::Command& command,
                         const Finisher& finisher,
                         std::int64_t number) {
    Slot& slot = push_write(spec);
    slot.finisher = &finisher;
    slot.answer.number = number;
    return submitted(slot, core_.kv().submit(*keyspace_, command, &slot, &slot.shard));
}

Outcome Session::propose(const CommandSpec& spec, std::unique_ptr<Transaction> transaction) {
    Slot& slot = push_write(spec);
    slot.transaction = std::move(transaction);
    if (!slot.transaction->has_command()) {
        slot.on_command({});
        return Outcome::kSubmitted;
    }
    return submitted(
        slot, core_.kv().submit(*keyspace_, slot.transaction->command(), &slot, &slot.shard));
}

// ---- coroutines ----

Outcome Session::await(const CommandSpec& spec, Arguments arguments, AwaitedHandler handler) {
    if (has_slots()) {
        return Outcome::kNotNow;
    }
    Slot& slot = push_slot(spec, Slot::State::kRunning);
    is_awaiting_ = true;
    core_.start(slot, arguments, keyspace_, handler);
    return Outcome::kSubmitted;
}

void Session::finish_transaction(Slot& slot) {
    --pending_writes_;
    slot.state = Slot::State::kRunning;
    core_.finish_transaction(slot);
    drain();
}

}  // namespace kvstore::resp

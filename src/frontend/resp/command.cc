#include "frontend/resp/command.h"

#include <utility>

#include "base/assert.h"
#include "frontend/resp/internal/core.h"
#include "frontend/resp/internal/session.h"
#include "frontend/resp/internal/transaction.h"

namespace kvstore::resp {
namespace {

constexpr char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

}  // namespace

bool equals_ignoring_case(std::string_view text, std::string_view word) {
    if (text.size() != word.size()) {
        return false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (lower(text[i]) != word[i]) {
            return false;
        }
    }
    return true;
}

std::string lower_case(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        c = lower(c);
    }
    return result;
}

void OwnedArguments::assign(Arguments arguments) {
    std::size_t size = 0;
    for (const ByteView argument : arguments) {
        size += argument.size();
    }
    bytes_.clear();
    bytes_.reserve(size);
    views_.clear();
    views_.reserve(arguments.size());
    for (const ByteView argument : arguments) {
        const std::size_t at = bytes_.size();
        bytes_.append(argument);
        views_.emplace_back(bytes_.data() + at, argument.size());
    }
}

Session* AwaitedCall::session() const {
    return slot->session;
}

kv::Kv& Call::kv() {
    return core_.kv();
}

const kv::KeyspaceHandle& Call::keyspace() const {
    return session_.keyspace();
}

std::uint64_t Call::now_ms() {
    return core_.now_ms();
}

Outcome Call::ok() {
    reply_.ok();
    return Outcome::kReplied;
}

Outcome Call::fail(std::string_view error) {
    reply_.error(error);
    return Outcome::kReplied;
}

Outcome Call::integer(std::int64_t number) {
    reply_.integer(number);
    return Outcome::kReplied;
}

storage::Lookup Call::find(std::size_t at, ByteView key, mvcc::Record* record) {
    storage::Lookup found = storage::Lookup::kAbsent;
    if (loaded_.empty()) {
        found = session_.is_readonly() ? core_.kv().find(session_.reads(), *keyspace(), key, record)
                                       : core_.kv().find(*keyspace(), key, record);
    } else if (loaded_[at].present) {
        *record = loaded_[at].record;
        found = storage::Lookup::kFound;
    }
    Statistics& statistics = core_.statistics();
    statistics.hits += found == storage::Lookup::kFound ? 1U : 0U;
    statistics.misses += found == storage::Lookup::kAbsent ? 1U : 0U;
    return found;
}

Outcome Call::write(const mvcc::Operation& operation,
                    const Finisher& finisher,
                    std::int64_t number) {
    if (step_ != nullptr) {
        step_->plan(operation, finisher, number);
        return Outcome::kSubmitted;
    }
    return session_.propose(spec_, operation, finisher, number);
}

Outcome Call::write(const mvcc::Command& command, const Finisher& finisher, std::int64_t number) {
    if (step_ == nullptr) {
        return session_.propose(spec_, command, finisher, number);
    }
    // The conditions of a queued command would become those of the whole transaction.
    KVSTORE_ASSERT(command.conditions.empty() && command.else_operations.empty());
    for (const mvcc::Operation& operation : command.operations) {
        step_->plan(operation, finisher, number);
    }
    return Outcome::kSubmitted;
}

ByteView Call::keep(Bytes bytes) {
    if (step_ != nullptr) {
        return step_->kept.emplace_back(std::move(bytes));
    }
    kept_ = std::move(bytes);
    return kept_;
}

mvcc::Command& Call::scratch_command() {
    return core_.scratch_command();
}

Outcome Call::await(AwaitedHandler handler) {
    if (step_ != nullptr) {
        step_->awaited = handler;
        return Outcome::kSubmitted;
    }
    return session_.await(spec_, arguments_, handler);
}

}  // namespace kvstore::resp

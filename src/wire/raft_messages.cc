#include "wire/raft_messages.h"

#include <cstdint>
#include <type_traits>
#include <utility>

#include "base/assert.h"
#include "base/coding.h"

namespace kvstore::wire {
namespace {

// Which fields of a message are there. A field that is zero is left out, so that each kind costs
// what it says, and no table of kinds can forget a field.
using Fields = std::uint64_t;
constexpr Fields kReject = 1U << 0U;  // the flags are their own bit
constexpr Fields kTransfer = 1U << 1U;
constexpr Fields kHibernate = 1U << 2U;
constexpr Fields kLogTerm = 1U << 3U;
constexpr Fields kIndex = 1U << 4U;
constexpr Fields kCommit = 1U << 5U;
constexpr Fields kCommitTerm = 1U << 6U;
constexpr Fields kHintIndex = 1U << 7U;
constexpr Fields kHintTerm = 1U << 8U;
constexpr Fields kReadTerm = 1U << 9U;
constexpr Fields kReadRound = 1U << 10U;
constexpr Fields kReadSequence = 1U << 11U;
constexpr Fields kEntries = 1U << 12U;
constexpr Fields kSnapshot = 1U << 13U;
constexpr Fields kFieldsEnd = 1U << 14U;

// Of an entry.
constexpr unsigned kConfChange = 1U << 0U;
constexpr unsigned kOtherTerm = 1U << 1U;  // than the entry before; than the message, for the first
constexpr unsigned kOtherIndex = 1U
                                 << 2U;  // than behind the entry before; behind `index`, likewise
constexpr unsigned kEntryFlagsEnd = 1U << 3U;

// Kinds travel as the core numbers them: it may append to them, and not reorder them.
constexpr auto kLastKind = static_cast<std::uint8_t>(raft::MessageKind::kWakeUp);
static_assert(kLastKind == 12 && static_cast<int>(raft::MessageKind::kAppend) == 4);
constexpr std::uint8_t kConfFormat = 1;

Fields fields_of(const raft::Message& message) {
    Fields fields = 0;
    const auto add = [&fields](bool is_there, Fields field) {
        fields |= is_there ? field : 0U;
    };
    add(message.reject, kReject);
    add(message.transfer, kTransfer);
    add(message.hibernate, kHibernate);
    add(message.log_term != Term(), kLogTerm);
    add(message.index != Index(), kIndex);
    add(message.commit != Index(), kCommit);
    add(message.commit_term != Term(), kCommitTerm);
    add(message.hint_index != Index(), kHintIndex);
    add(message.hint_term != Term(), kHintTerm);
    add(message.read.term != Term(), kReadTerm);
    add(message.read_round != 0, kReadRound);
    add(message.read.sequence != 0, kReadSequence);
    add(!message.entries.empty(), kEntries);
    add(message.snapshot != nullptr, kSnapshot);
    return fields;
}

void encode_entries(const raft::Message& message, Bytes& to) {
    KVSTORE_ASSERT(message.entries.size() <= kRaftEntriesMax);
    put_varint(to, message.entries.size());
    Term term = message.term;
    Index index = message.index;
    for (const raft::Entry& entry : message.entries) {
        const bool has_term = entry.term != term;
        const bool has_index = entry.index != index.next();
        const bool is_change = entry.kind == raft::EntryKind::kConfChange;
        to.push_back(static_cast<char>((is_change ? kConfChange : 0U) |
                                       (has_term ? kOtherTerm : 0U) |
                                       (has_index ? kOtherIndex : 0U)));
        if (has_term) {
            put_varint(to, entry.term.value());
        }
        if (has_index) {
            put_varint(to, entry.index.value());
        }
        put_length_prefixed(to, entry.data.view());
        term = entry.term;
        index = entry.index;
    }
}

bool decode_entries(Decoder& decoder,
                    const std::shared_ptr<const void>& owner,
                    raft::Message& message) {
    const std::uint64_t count = decoder.varint();
    // An entry has a byte of flags and one of length at least.
    if (!decoder.ok() || count == 0 || count > kRaftEntriesMax ||
        count > decoder.rest().size() / 2) {
        return false;
    }
    message.entries.resize(static_cast<std::size_t>(count));
    Term term = message.term;
    Index index = message.index;
    for (raft::Entry& entry : message.entries) {
        const unsigned flags = decoder.fixed<std::uint8_t>();
        if (flags >= kEntryFlagsEnd) {
            return false;
        }
        entry.kind =
            (flags & kConfChange) != 0 ? raft::EntryKind::kConfChange : raft::EntryKind::kCommand;
        entry.term = (flags & kOtherTerm) != 0 ? Term(decoder.varint()) : term;
        entry.index = (flags & kOtherIndex) != 0 ? Index(decoder.varint()) : index.next();
        const ByteView data = decoder.length_prefixed();
        if (!decoder.ok()) {
            return false;
        }
        if (!data.empty()) {
            entry.data = raft::Payload(owner, data);
        }
        term = entry.term;
        index = entry.index;
    }
    return true;
}

void encode_nodes(const std::vector<NodeId>& nodes, Bytes& to) {
    put_varint(to, nodes.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        KVSTORE_ASSERT(i == 0 || nodes[i - 1] < nodes[i]);
        put_varint(to, nodes[i].value());
    }
}

// Lists of a configuration are sorted and hold each id once.
bool decode_nodes(Decoder& decoder, std::vector<NodeId>& nodes) {
    const std::uint64_t count = decoder.varint();
    if (!decoder.ok() || count > decoder.rest().size()) {
        return false;
    }
    nodes.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
        const NodeId node(decoder.varint());
        if (!nodes.empty() && node <= nodes.back()) {
            return false;
        }
        nodes.push_back(node);
    }
    return decoder.ok();
}

bool decode_conf(Decoder& decoder, raft::ConfState& conf) {
    const auto format = decoder.fixed<std::uint8_t>();
    const auto auto_leave = decoder.fixed<std::uint8_t>();
    conf.auto_leave = auto_leave != 0;
    return decoder.ok() && format == kConfFormat && auto_leave <= 1 &&
           decode_nodes(decoder, conf.voters) && decode_nodes(decoder, conf.voters_outgoing) &&
           decode_nodes(decoder, conf.learners) && decode_nodes(decoder, conf.learners_next);
}

void encode_snapshot(const raft::SnapshotMeta& snapshot, Bytes& to) {
    put_varint(to, snapshot.index.value());
    put_varint(to, snapshot.term.value());
    put_varint(to, snapshot.handle);
    encode_conf_state(snapshot.conf, to);
}

bool decode_snapshot(Decoder& decoder, raft::Message& message) {
    auto snapshot = std::make_shared<raft::SnapshotMeta>();
    snapshot->index = Index(decoder.varint());
    snapshot->term = Term(decoder.varint());
    snapshot->handle = decoder.varint();
    const bool is_sound = decode_conf(decoder, snapshot->conf);
    message.snapshot = std::move(snapshot);
    return is_sound;
}

// The numbers that a message may have, in the order in which they are written.
template <typename M, typename Visit>
void visit_numbers(M& message, Visit visit) {
    visit(kLogTerm, message.log_term);
    visit(kIndex, message.index);
    visit(kCommit, message.commit);
    visit(kCommitTerm, message.commit_term);
    visit(kHintIndex, message.hint_index);
    visit(kHintTerm, message.hint_term);
    visit(kReadTerm, message.read.term);
}

bool decode_message(Decoder& decoder,
                    const std::shared_ptr<const void>& owner,
                    raft::Message& message) {
    const auto kind = decoder.fixed<std::uint8_t>();
    const Fields fields = decoder.varint();
    message.group = GroupId(decoder.varint());
    message.term = Term(decoder.varint());
    if (!decoder.ok() || kind > kLastKind || fields >= kFieldsEnd) {
        return false;
    }
    message.kind = static_cast<raft::MessageKind>(kind);
    message.reject = (fields & kReject) != 0;
    message.transfer = (fields & kTransfer) != 0;
    message.hibernate = (fields & kHibernate) != 0;
    visit_numbers(message, [&](Fields field, auto& number) {
        if ((fields & field) != 0) {
            number = std::remove_reference_t<decltype(number)>(decoder.varint());
        }
    });
    message.read_round = (fields & kReadRound) != 0 ? decoder.varint() : 0;
    message.read.sequence = (fields & kReadSequence) != 0 ? decoder.varint() : 0;
    if ((fields & kEntries) != 0 && !decode_entries(decoder, owner, message)) {
        return false;
    }
    if ((fields & kSnapshot) != 0 && !decode_snapshot(decoder, message)) {
        return false;
    }
    return decoder.ok();
}

}  // namespace

void encode_raft_message(const raft::Message& message, Bytes& to) {
    const Fields fields = fields_of(message);
    to.push_back(static_cast<char>(message.kind));
    put_varint(to, fields);
    put_varint(to, message.group.value());
    put_varint(to, message.term.value());
    visit_numbers(message, [&](Fields field, const auto& number) {
        if ((fields & field) != 0) {
            put_varint(to, number.value());
        }
    });
    if ((fields & kReadRound) != 0) {
        put_varint(to, message.read_round);
    }
    if ((fields & kReadSequence) != 0) {
        put_varint(to, message.read.sequence);
    }
    if ((fields & kEntries) != 0) {
        encode_entries(message, to);
    }
    if ((fields & kSnapshot) != 0) {
        encode_snapshot(*message.snapshot, to);
    }
}

Status decode_raft_messages(const std::shared_ptr<const void>& owner,
                            ByteView batch,
                            NodeId from,
                            NodeId to,
                            std::vector<raft::Message>& messages) {
    Decoder decoder(batch);
    while (!decoder.at_end()) {
        raft::Message& message = messages.emplace_back();
        message.from = from;
        message.to = to;
        if (!decode_message(decoder, owner, message)) {
            return {Code::kCorruption, "unreadable Raft messages"};
        }
    }
    return {};
}

void encode_conf_state(const raft::ConfState& conf, Bytes& to) {
    to.push_back(static_cast<char>(kConfFormat));
    to.push_back(conf.auto_leave ? '\1' : '\0');
    encode_nodes(conf.voters, to);
    encode_nodes(conf.voters_outgoing, to);
    encode_nodes(conf.learners, to);
    encode_nodes(conf.learners_next, to);
}

Result<raft::ConfState> decode_conf_state(ByteView bytes) {
    Decoder decoder(bytes);
    raft::ConfState conf;
    if (!decode_conf(decoder, conf) || !decoder.at_end()) {
        return Status(Code::kCorruption, "unreadable configuration");
    }
    return conf;
}

}  // namespace kvstore::wire

#include "storage/wal/record.h"

#include <array>
#include <cstring>

#include "base/assert.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/planted_bug.h"

namespace kvstore::storage {
namespace {

enum class ItemTag : std::uint8_t {
    kEntry = 1,
    kState = 2,
    kStart = 3,
    kDrop = 4,
    kCheckpoint = 5,
    kNoGroups = 6,
};

constexpr std::uint8_t kHasState = 1;
constexpr std::uint8_t kHasStart = 2;

constexpr std::size_t kMarkAt = 4;
constexpr std::size_t kSequenceAt = 8;
constexpr std::size_t kDurableAt = 16;
constexpr std::size_t kLengthAt = 24;
constexpr std::size_t kPreviousAt = 28;

std::uint32_t mark_of(const RecordPlace& place) noexcept {
    if (planted_bug(PlantedBug::kWalAcceptStaleRecords)) {
        return 1;
    }
    std::array<char, 24> raw;
    store_fixed(raw.data(), place.salt);
    store_fixed(raw.data() + 8, place.segment);
    store_fixed(raw.data() + 16, place.offset);
    return crc32c(ByteView(raw.data(), raw.size()));
}

std::uint32_t checksum_of(ByteView record, std::size_t size) noexcept {
    return crc32c(record.substr(kMarkAt, size - kMarkAt));
}

char* store_tag(char* to, ItemTag tag) noexcept {
    *to = static_cast<char>(tag);
    return to + 1;
}

LogEntry read_entry(Decoder& from) noexcept {
    LogEntry entry;
    entry.kind = from.fixed<std::uint8_t>();
    entry.group = GroupId(from.varint());
    entry.term = Term(from.varint());
    entry.index = Index(from.varint());
    entry.data = from.length_prefixed();
    return entry;
}

LogState read_state(Decoder& from, GroupId group) noexcept {
    LogState state;
    state.group = group;
    state.term = Term(from.varint());
    state.vote = NodeId(from.varint());
    state.commit = Index(from.varint());
    return state;
}

GroupCheckpoint::Start read_start(Decoder& from) noexcept {
    GroupCheckpoint::Start start;
    start.term = Term(from.varint());
    start.index = Index(from.varint());
    return start;
}

GroupCheckpoint read_checkpoint(Decoder& from) noexcept {
    GroupCheckpoint checkpoint;
    checkpoint.group = GroupId(from.varint());
    checkpoint.last = Index(from.varint());
    const auto flags = from.fixed<std::uint8_t>();
    if ((flags & kHasState) != 0) {
        checkpoint.state = read_state(from, checkpoint.group);
    }
    if ((flags & kHasStart) != 0) {
        checkpoint.start = read_start(from);
    }
    return checkpoint;
}

Status bad_item() {
    return {Code::kCorruption, "an item that cannot be read, with a checksum that fits"};
}

// Reads one item and shows it, unless it was cut short.
Status visit_item(Decoder& from, RecordVisitor& visitor) {
    switch (static_cast<ItemTag>(from.fixed<std::uint8_t>())) {
        case ItemTag::kEntry: {
            const LogEntry entry = read_entry(from);
            return from.ok() ? visitor.on_entry(entry) : bad_item();
        }
        case ItemTag::kState: {
            const GroupId group(from.varint());
            const LogState state = read_state(from, group);
            return from.ok() ? visitor.on_state(state) : bad_item();
        }
        case ItemTag::kStart: {
            const GroupId group(from.varint());
            const GroupCheckpoint::Start start = read_start(from);
            return from.ok() ? visitor.on_start(group, start.term, start.index) : bad_item();
        }
        case ItemTag::kDrop: {
            const GroupId group(from.varint());
            return from.ok() ? visitor.on_drop(group) : bad_item();
        }
        case ItemTag::kCheckpoint: {
            const GroupCheckpoint checkpoint = read_checkpoint(from);
            return from.ok() ? visitor.on_checkpoint(checkpoint) : bad_item();
        }
        case ItemTag::kNoGroups: return {};
    }
    return bad_item();
}

}  // namespace

bool operator==(const GroupCheckpoint& a, const GroupCheckpoint& b) noexcept {
    if (a.state.has_value() != b.state.has_value()) {
        return false;
    }
    if (a.state && (a.state->term != b.state->term || a.state->vote != b.state->vote ||
                    a.state->commit != b.state->commit)) {
        return false;
    }
    return a.group == b.group && a.last == b.last && a.start == b.start;
}

void seal_record(char* record, RecordHeader& header, const RecordPlace& place) noexcept {
    KVSTORE_ASSERT(header.length <= kRecordPayloadMax);
    KVSTORE_ASSERT(header.durable < header.sequence);
    header.mark = mark_of(place);
    store_fixed(record + kMarkAt, header.mark);
    store_fixed(record + kSequenceAt, header.sequence.value());
    store_fixed(record + kDurableAt, header.durable.value());
    store_fixed(record + kLengthAt, header.length);
    store_fixed(record + kPreviousAt, header.previous);
    header.checksum = checksum_of(ByteView(record, header.size()), header.size());
    store_fixed(record, header.checksum);
}

std::optional<RecordHeader> find_record_header(ByteView bytes, const RecordPlace& place) noexcept {
    if (bytes.size() < kRecordHeaderSize) {
        return std::nullopt;
    }
    RecordHeader header;
    header.sequence = Sequence(load_fixed<std::uint64_t>(bytes.data() + kSequenceAt));
    header.length = load_fixed<std::uint32_t>(bytes.data() + kLengthAt);
    if (header.sequence.value() == 0 || header.length > kRecordPayloadMax) {
        return std::nullopt;
    }
    header.mark = load_fixed<std::uint32_t>(bytes.data() + kMarkAt);
    if (header.mark != mark_of(place)) {
        return std::nullopt;
    }
    header.checksum = load_fixed<std::uint32_t>(bytes.data());
    header.durable = Sequence(load_fixed<std::uint64_t>(bytes.data() + kDurableAt));
    header.previous = load_fixed<std::uint32_t>(bytes.data() + kPreviousAt);
    return header;
}

bool is_record_whole(ByteView bytes, const RecordHeader& header) noexcept {
    KVSTORE_ASSERT(bytes.size() >= header.size());
    return checksum_of(bytes, header.size()) == header.checksum && header.durable < header.sequence;
}

char* store_entry(char* to, const LogEntry& entry) noexcept {
    to = store_tag(to, ItemTag::kEntry);
    *to++ = static_cast<char>(entry.kind);
    to = store_varint(to, entry.group.value());
    to = store_varint(to, entry.term.value());
    to = store_varint(to, entry.index.value());
    to = store_varint(to, entry.data.size());
    entry.data.copy(to, entry.data.size());
    return to + entry.data.size();
}

char* store_state(char* to, const LogState& state) noexcept {
    to = store_tag(to, ItemTag::kState);
    to = store_varint(to, state.group.value());
    to = store_varint(to, state.term.value());
    to = store_varint(to, state.vote.value());
    return store_varint(to, state.commit.value());
}

char* store_start(char* to, GroupId group, Term term, Index index) noexcept {
    to = store_tag(to, ItemTag::kStart);
    to = store_varint(to, group.value());
    to = store_varint(to, term.value());
    return store_varint(to, index.value());
}

char* store_drop(char* to, GroupId group) noexcept {
    to = store_tag(to, ItemTag::kDrop);
    return store_varint(to, group.value());
}

char* store_checkpoint(char* to, const GroupCheckpoint& checkpoint) noexcept {
    to = store_tag(to, ItemTag::kCheckpoint);
    to = store_varint(to, checkpoint.group.value());
    to = store_varint(to, checkpoint.last.value());
    *to++ =
        static_cast<char>((checkpoint.state ? kHasState : 0) | (checkpoint.start ? kHasStart : 0));
    if (checkpoint.state) {
        to = store_varint(to, checkpoint.state->term.value());
        to = store_varint(to, checkpoint.state->vote.value());
        to = store_varint(to, checkpoint.state->commit.value());
    }
    if (checkpoint.start) {
        to = store_varint(to, checkpoint.start->term.value());
        to = store_varint(to, checkpoint.start->index.value());
    }
    return to;
}

char* store_no_groups(char* to) noexcept {
    return store_tag(to, ItemTag::kNoGroups);
}

bool begins_with_checkpoint(ByteView payload) noexcept {
    if (payload.empty()) {
        return false;
    }
    const auto tag = static_cast<ItemTag>(payload.front());
    return tag == ItemTag::kCheckpoint || tag == ItemTag::kNoGroups;
}

Status visit_items(ByteView payload, RecordVisitor& visitor) {
    Decoder from(payload);
    while (!from.at_end()) {
        KVSTORE_CHECK_OK(visit_item(from, visitor));
    }
    return {};
}

}  // namespace kvstore::storage

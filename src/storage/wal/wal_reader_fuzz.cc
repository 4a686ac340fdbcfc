// Feeds bytes to everything that reads a log: names, segment headers, records, items.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "storage/wal/record.h"
#include "storage/wal/segment.h"

namespace kvstore::storage {
namespace {

// Looks at every byte that it is shown, so that a sanitizer sees a view that leaves the input.
class Toucher final : public RecordVisitor {
public:
    Status on_entry(const LogEntry& entry) override {
        for (const char byte : entry.data) {
            sum_ += static_cast<unsigned char>(byte);
        }
        return {};
    }
    Status on_state(const LogState& state) override {
        sum_ += state.commit.value();
        return {};
    }
    Status on_start(GroupId, Term, Index index) override {
        sum_ += index.value();
        return {};
    }
    Status on_drop(GroupId group) override {
        sum_ += group.value();
        return {};
    }
    Status on_checkpoint(const GroupCheckpoint& checkpoint) override {
        sum_ += checkpoint.last.value();
        return {};
    }

    [[nodiscard]] std::uint64_t sum() const { return sum_; }

private:
    std::uint64_t sum_ = 0;
};

void read_everything(ByteView input) {
    static_cast<void>(find_segment_name(input.substr(0, 40)));
    static_cast<void>(decode_segment_header(input));
    const RecordPlace place{.salt = 1, .segment = 2, .offset = 4096};
    const auto header = find_record_header(input, place);
    if (header && input.size() >= header->size()) {
        static_cast<void>(is_record_whole(input, *header));
    }
    Toucher toucher;
    const Status read = visit_items(input, toucher);
    KVSTORE_ASSERT(read.ok() || read.code() == Code::kCorruption);

    // The same bytes as the payload of a record: what is sealed must be found.
    if (input.size() <= kRecordPayloadMax) {
        Bytes record(kRecordHeaderSize, '\0');
        record += input;
        RecordHeader sealed;
        sealed.sequence = Sequence(1);
        sealed.length = static_cast<std::uint32_t>(input.size());
        seal_record(record.data(), sealed, place);
        const auto found = find_record_header(record, place);
        KVSTORE_ASSERT(found && is_record_whole(record, *found));
    }
}

}  // namespace
}  // namespace kvstore::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    kvstore::storage::read_everything(kvstore::ByteView(reinterpret_cast<const char*>(data), size));
    return 0;
}

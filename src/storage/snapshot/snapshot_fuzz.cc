// Feeds bytes to everything that reads a snapshot: names, headers, blocks, rows, totals.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "storage/snapshot/format.h"
#include "storage/snapshot/snapshot_files.h"

namespace kvstore::storage {
namespace {

// Looks at every byte that it is shown, so that a sanitizer sees a view that leaves the input.
class Toucher final : public SnapshotVisitor {
public:
    Status on_row(Table table, ByteView key, ByteView value) override {
        KVSTORE_ASSERT(static_cast<std::size_t>(table) < kTableCount);
        for (const char byte : key) {
            sum_ += static_cast<unsigned char>(byte);
        }
        for (const char byte : value) {
            sum_ += static_cast<unsigned char>(byte);
        }
        return {};
    }

private:
    std::uint64_t sum_ = 0;
};

void read_everything(ByteView input) {
    static_cast<void>(find_snapshot_index(input.substr(0, 40)));
    static_cast<void>(decode_snapshot_header(input));
    static_cast<void>(find_totals(input));
    const auto block = find_block_header(input, 64);
    if (block && input.size() >= block->size()) {
        static_cast<void>(is_block_whole(input, *block, 0));
    }
    Toucher toucher;
    const auto row_count = static_cast<std::uint32_t>(input.size() % 16);
    const Status read = visit_rows(input, row_count, toucher);
    KVSTORE_ASSERT(read.ok() || read.code() == Code::kCorruption);
}

}  // namespace
}  // namespace kvstore::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    kvstore::storage::read_everything(kvstore::ByteView(reinterpret_cast<const char*>(data), size));
    return 0;
}

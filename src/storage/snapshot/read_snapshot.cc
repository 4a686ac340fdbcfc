#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "async/sync.h"
#include "storage/snapshot/format.h"
#include "storage/snapshot/snapshot.h"

namespace kvstore::storage {
namespace {

constexpr std::size_t kReadSize = 1U << 20U;
// How often a block that looks damaged is read again: a bit may flip on its way from the disk.
constexpr int kReadAgainCount = 2;

// Reads one file. Lifetime: in the frame of read_snapshot().
class SnapshotReader {
public:
    SnapshotReader(env::Env* env, std::string path) : env_(env), path_(std::move(path)) {}

    async::Task<Result<SnapshotInfo>> read(ShardId shard, SnapshotVisitor* visitor) {
        const env::OpenOptions options{.writable = false};
        auto opened = co_await env_->disk.open(path_, options);
        KVSTORE_CO_TRY(file_, std::move(opened));
        KVSTORE_CO_CHECK_OK(co_await read_header(shard));
        for (;;) {
            auto found = co_await read_block();
            KVSTORE_CO_TRY(const BlockHeader block, std::move(found));
            const ByteView bytes = ByteView(buffer_).substr(used_, block.size());
            const ByteView payload = bytes.substr(kBlockHeaderSize);
            if (block.kind == BlockKind::kEnd) {
                KVSTORE_CO_CHECK_OK(check_end(payload));
                KVSTORE_CO_CHECK_OK(co_await check_nothing_follows(block));
                break;
            }
            const Status visited = visit_rows(payload, block.row_count, *visitor);
            if (!visited.ok()) {
                co_return visited.code() == Code::kCorruption ? damaged(visited.message())
                                                              : visited;
            }
            add_block(totals_, bytes, block.row_count);
            pass(block);
            co_await async::yield(env_->scheduler);
        }
        co_return SnapshotInfo{.path = path_,
                               .shard = shard,
                               .applied = header_.applied,
                               .row_count = totals_.row_count,
                               .bytes = offset_};
    }

private:
    async::Task<Status> read_header(ShardId shard) {
        for (int attempt = 0;; ++attempt) {
            auto bytes = co_await file_->read(0, kSnapshotHeaderSize);
            KVSTORE_CO_TRY(const Bytes header, std::move(bytes));
            auto decoded = decode_snapshot_header(header);
            if (decoded.ok()) {
                header_ = *decoded;
                chain_ = snapshot_chain_begin(header);
                offset_ = kSnapshotHeaderSize;
                break;
            }
            if (attempt == kReadAgainCount) {
                co_return damaged(decoded.status().message());
            }
        }
        if (header_.shard != shard) {
            co_return damaged("the snapshot belongs to shard " +
                              std::to_string(header_.shard.value()) + ", not " +
                              std::to_string(shard.value()));
        }
        co_return Status();
    }

    // Brings the block at offset_ to the front of what is buffered.
    async::Task<Result<BlockHeader>> read_block() {
        for (int attempt = 0;;) {
            const ByteView bytes = ByteView(buffer_).substr(used_);
            const auto header = find_block_header(bytes, offset_);
            const std::size_t needed = header ? header->size() : kBlockHeaderSize;
            if (bytes.size() < needed && !at_end_) {
                KVSTORE_CO_CHECK_OK(co_await fill(needed));
                continue;
            }
            if (header && bytes.size() >= needed && is_block_whole(bytes, *header, chain_)) {
                co_return *header;
            }
            if (attempt++ == kReadAgainCount) {
                co_return damaged(bytes.size() < needed ? "the snapshot ends early"
                                                        : "a damaged block");
            }
            buffer_.clear();
            used_ = 0;
            at_end_ = false;
        }
    }

    async::Task<Status> fill(std::size_t needed) {
        buffer_.erase(0, used_);
        used_ = 0;
        const std::size_t size = std::max(kReadSize, needed - std::min(needed, buffer_.size()));
        auto bytes = co_await file_->read(offset_ + buffer_.size(), size);
        KVSTORE_CO_TRY(const Bytes more, std::move(bytes));
        at_end_ = more.size() < size;
        buffer_.append(more);
        co_return Status();
    }

    void pass(const BlockHeader& block) {
        used_ += block.size();
        offset_ += block.size();
        chain_ = block.checksum;
    }

    Status check_end(ByteView payload) const {
        const auto totals = find_totals(payload);
        if (!totals || *totals != totals_) {
            return damaged("the totals at the end are not those of the blocks");
        }
        return {};
    }

    async::Task<Status> check_nothing_follows(BlockHeader block) {
        offset_ += block.size();
        auto measured = co_await file_->size();
        KVSTORE_CO_TRY(const std::uint64_t size, std::move(measured));
        co_return size == offset_ ? Status() : damaged("bytes after the end of the snapshot");
    }

    [[nodiscard]] Status damaged(std::string_view what) const {
        return {Code::kCorruption,
                path_ + " at " + std::to_string(offset_) + ": " + std::string(what) +
                    "; run `kvstore verify-data` to see what is damaged"};
    }

    env::Env* env_;
    std::string path_;
    std::unique_ptr<env::File> file_;
    SnapshotHeader header_;
    Bytes buffer_;
    // buffer_[used_] is the byte at offset_.
    std::size_t used_ = 0;
    std::uint64_t offset_ = 0;
    bool at_end_ = false;
    std::uint32_t chain_ = 0;
    SnapshotTotals totals_;
};

}  // namespace

async::Task<Result<SnapshotInfo>> read_snapshot(env::Env* env,
                                                std::string path,
                                                ShardId shard,
                                                SnapshotVisitor* visitor) {
    SnapshotReader reader(env, std::move(path));
    co_return co_await reader.read(shard, visitor);
}

}  // namespace kvstore::storage

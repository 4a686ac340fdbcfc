#include <algorithm>
#include <memory>
#include <utility>

#include "async/sync.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "storage/snapshot/format.h"
#include "storage/snapshot/snapshot.h"
#include "storage/snapshot/snapshot_files.h"

namespace kvstore::storage {
namespace {

// Written bytes are brought to the device in pieces, so that the end of a large snapshot does not
// hold up the log on the same disk.
constexpr std::uint64_t kSyncPiece = 8U << 20U;

// Writes one file. Lifetime: in the frame of write_snapshot().
class SnapshotWriter {
public:
    SnapshotWriter(env::Env* env, std::uint64_t bytes_per_second)
        : env_(env), bytes_per_second_(bytes_per_second), begun_(env->clock.now()) {}

    async::Task<Status> write(std::string path, ShardId shard, SnapshotSource* source) {
        KVSTORE_CO_CHECK_OK(co_await env_->disk.remove(path));
        auto opened = co_await env_->disk.open(path, kCreate);
        KVSTORE_CO_TRY(file_, std::move(opened));
        KVSTORE_CO_CHECK_OK(co_await write_header(shard, source->applied_index()));
        for (;;) {
            auto next = co_await source->next(kBlockPayloadAim);
            KVSTORE_CO_TRY(const std::vector<SnapshotSource::Row> rows, std::move(next));
            if (rows.empty()) {
                break;
            }
            for (std::size_t i = 0; i < rows.size(); ++i) {
                put_row(block_, rows[i].table, rows[i].key, rows[i].value);
                ++rows_in_block_;
                if (block_.size() >= kBlockHeaderSize + kBlockPayloadAim) {
                    KVSTORE_CO_CHECK_OK(co_await write_rows());
                }
            }
        }
        if (rows_in_block_ > 0) {
            KVSTORE_CO_CHECK_OK(co_await write_rows());
        }
        put_totals(block_, totals_);
        KVSTORE_CO_CHECK_OK(co_await write_block(BlockKind::kEnd));
        if (!planted_bug(PlantedBug::kSnapshotRenameBeforeSync)) {
            KVSTORE_CO_CHECK_OK(co_await file_->sync());
        }
        file_.reset();
        co_return Status();
    }

    [[nodiscard]] std::uint64_t row_count() const { return totals_.row_count; }
    [[nodiscard]] std::uint64_t bytes() const { return offset_; }

private:
    static constexpr env::OpenOptions kCreate{.create = true};

    async::Task<Status> write_header(ShardId shard, Index applied) {
        const auto header = encode_snapshot_header({.shard = shard, .applied = applied});
        const ByteView bytes(header.data(), header.size());
        KVSTORE_CO_CHECK_OK(co_await file_->write(0, bytes));
        chain_ = snapshot_chain_begin(bytes);
        offset_ = bytes.size();
        co_return Status();
    }

    async::Task<Status> write_rows() {
        KVSTORE_CO_CHECK_OK(co_await write_block(BlockKind::kRows));
        co_return co_await keep_pace();
    }

    async::Task<Status> write_block(BlockKind kind) {
        if (block_.size() - kBlockHeaderSize > kBlockPayloadMax) {
            co_return Status(Code::kTooLarge, "a row of more than 64 MiB fits into no snapshot");
        }
        chain_ = seal_block(block_, kind, rows_in_block_, offset_, chain_);
        if (kind == BlockKind::kRows) {
            add_block(totals_, block_, rows_in_block_);
        }
        KVSTORE_CO_CHECK_OK(co_await file_->write(offset_, block_));
        offset_ += block_.size();
        block_.assign(kBlockHeaderSize, '\0');
        rows_in_block_ = 0;
        co_return Status();
    }

    // Lets others run, brings a piece to the device, and waits when it went too fast.
    async::Task<Status> keep_pace() {
        co_await async::yield(env_->scheduler);
        if (offset_ - synced_ >= kSyncPiece) {
            KVSTORE_CO_CHECK_OK(co_await file_->sync());
            synced_ = offset_;
        }
        if (bytes_per_second_ > 0) {
            const double due =
                static_cast<double>(offset_) / static_cast<double>(bytes_per_second_);
            const MonotonicTime earliest =
                begun_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(due));
            const MonotonicTime now = env_->clock.now();
            if (earliest > now) {
                co_await env_->clock.sleep(earliest - now);
            }
        }
        co_return Status();
    }

    env::Env* env_;
    std::uint64_t bytes_per_second_;
    MonotonicTime begun_;
    std::unique_ptr<env::File> file_;
    Bytes block_ = Bytes(kBlockHeaderSize, '\0');
    std::uint32_t rows_in_block_ = 0;
    std::uint32_t chain_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t synced_ = 0;
    SnapshotTotals totals_;
};

}  // namespace

async::Task<Result<SnapshotInfo>> write_snapshot(env::Env* env,
                                                 std::string directory,
                                                 ShardId shard,
                                                 SnapshotSource* source,
                                                 std::uint64_t bytes_per_second) {
    KVSTORE_CO_CHECK_OK(co_await env->disk.create_directories(directory));
    const Index applied = source->applied_index();
    const std::string path = directory + "/" + snapshot_name(applied);
    const std::string aside = path + ".new";
    SnapshotWriter writer(env, bytes_per_second);
    Status written = co_await writer.write(aside, shard, source);
    if (written.ok()) {
        written = co_await env->disk.rename(aside, path);
    }
    if (!written.ok()) {
        // What was written is worth nothing; the space may be what the disk lacks.
        const Status removed = co_await env->disk.remove(aside);
        if (!removed.ok()) {
            log_warning("unfinished snapshot not removed",
                        {{"path", aside}, {"reason", removed.to_string()}});
        }
        co_return written;
    }
    KVSTORE_CO_CHECK_OK(co_await env->disk.sync_directory(directory));
    KVSTORE_CO_CHECK_OK(co_await remove_old_snapshots(env, directory));
    co_return SnapshotInfo{.path = path,
                           .shard = shard,
                           .applied = applied,
                           .row_count = writer.row_count(),
                           .bytes = writer.bytes()};
}

}  // namespace kvstore::storage

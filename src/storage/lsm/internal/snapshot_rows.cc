#include "storage/lsm/internal/snapshot_rows.h"

#include <optional>
#include <utility>

#include "base/assert.h"

namespace kvstore::storage::lsm {

SnapshotRows::SnapshotRows(env::Env* env,
                           std::unique_ptr<GatePass> pass,
                           Database* database,
                           const Prefixes& prefixes,
                           Index applied)
    : env_(env),
      pass_(std::move(pass)),
      database_(database),
      prefixes_(prefixes),
      applied_(applied),
      snapshot_(database->raw()) {}

async::Task<Result<std::vector<SnapshotSource::Row>>> SnapshotRows::next(std::size_t bytes_max) {
    std::optional<Result<std::vector<Row>>> rows;
    Callback<void()> work([this, bytes_max, &rows] { rows.emplace(read(bytes_max)); });
    co_await env_->disk.run_blocking(std::move(work));
    KVSTORE_ASSERT(rows.has_value());
    co_return *std::move(rows);
}

Result<std::vector<SnapshotSource::Row>> SnapshotRows::read(std::size_t bytes_max) {
    std::vector<Row> rows;
    std::size_t bytes = 0;
    while (table_ < kTableCount && (bytes < bytes_max || rows.empty())) {
        if (cursor_ == nullptr) {
            cursor_ = std::make_unique<LsmCursor>(
                database_, snapshot_.raw(), prefixes_[table_], nullptr, LsmCursor::Use::kOnce);
            cursor_->seek({});
        }
        if (!cursor_->valid()) {
            KVSTORE_CHECK_OK(cursor_->status());
            cursor_.reset();
            ++table_;
            continue;
        }
        rows.push_back(
            Row{static_cast<Table>(table_), Bytes(cursor_->key()), Bytes(cursor_->value())});
        bytes += rows.back().key.size() + rows.back().value.size();
        cursor_->next();
    }
    return rows;
}

}  // namespace kvstore::storage::lsm

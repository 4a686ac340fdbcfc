// The rows of one committed state, read on the pool.
#pragma once

#include <memory>
#include <vector>

#include "env/env.h"
#include "storage/engine.h"
#include "storage/lsm/internal/lsm_view.h"

namespace kvstore::storage::lsm {

class SnapshotRows final : public SnapshotSource {
public:
    SnapshotRows(env::Env* env,
                 std::unique_ptr<GatePass> pass,
                 Database* database,
                 const Prefixes& prefixes,
                 Index applied);

    [[nodiscard]] Index applied_index() const override { return applied_; }
    async::Task<Result<std::vector<Row>>> next(std::size_t bytes_max) override;

private:
    // Runs on the pool.
    Result<std::vector<Row>> read(std::size_t bytes_max);

    env::Env* env_;
    std::unique_ptr<GatePass> pass_;
    Database* database_;
    Prefixes prefixes_;
    Index applied_;
    HeldSnapshot snapshot_;
    std::unique_ptr<LsmCursor> cursor_;  // of the table at hand; null before and between tables
    std::size_t table_ = 0;
};

}  // namespace kvstore::storage::lsm

// An LSM engine over real files in a folder of its own, on the core of one test.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/status.h"
#include "posix/runtime.h"
#include "storage/engine.h"
#include "storage/engines.h"

namespace kvstore::storage::lsm {

// What an engine holds, by table and key.
using Rows = std::map<std::pair<Table, Bytes>, Bytes>;

class LsmFixture : public testing::Test {
protected:
    LsmFixture();
    ~LsmFixture() override;

    // Small buffers, so that tests reach flushes and compactions.
    [[nodiscard]] static LsmEngineOptions small_options();

    // Requires: no engine is open.
    Status try_open(const LsmEngineOptions& options);
    void open(const LsmEngineOptions& options = small_options());
    // What was not persisted is lost, as in a crash.
    void close();
    void reopen(const LsmEngineOptions& options = small_options());

    template <typename T>
    T run(async::Task<T> task) {
        return runtime_->block_on(std::move(task));
    }

    void commit(std::uint64_t applied);
    void persist();
    [[nodiscard]] std::optional<Bytes> find(Table table, ByteView key);
    [[nodiscard]] Rows rows_by_view();
    [[nodiscard]] Rows rows_by_snapshot();

    [[nodiscard]] std::filesystem::path directory() const { return root_ / "shard"; }
    [[nodiscard]] std::vector<std::filesystem::path> files(const std::string& suffix) const;

    // Turns over one bit of a file. Called again it is as before.
    static void flip(const std::filesystem::path& file, std::uint64_t offset, unsigned bit);

    Engine& engine() { return *engine_; }

    std::filesystem::path root_;
    std::unique_ptr<posix::Runtime> runtime_;
    std::unique_ptr<Engine> engine_;
};

}  // namespace kvstore::storage::lsm

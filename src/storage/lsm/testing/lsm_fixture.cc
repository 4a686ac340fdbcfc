#include "storage/lsm/testing/lsm_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/assert.h"

namespace kvstore::storage::lsm {

LsmFixture::LsmFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kvstore-lsm-XXXXXX").string();
    KVSTORE_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
    posix::RuntimeOptions options;
    options.root_directory = root_.string();
    runtime_ = std::make_unique<posix::Runtime>(options);
}

LsmFixture::~LsmFixture() {
    if (engine_ != nullptr) {
        close();
    }
    runtime_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
}

LsmEngineOptions LsmFixture::small_options() {
    LsmSharedOptions shared;
    shared.cache_bytes = 1U << 20U;
    LsmEngineOptions options;
    options.write_buffer_bytes = 256U << 10U;
    options.shared = make_lsm_shared(shared);
    return options;
}

Status LsmFixture::try_open(const LsmEngineOptions& options) {
    KVSTORE_ASSERT(engine_ == nullptr);
    auto opened = run(open_lsm_engine(&runtime_->env(), "shard", options));
    if (!opened.ok()) {
        return opened.status();
    }
    engine_ = *std::move(opened);
    return {};
}

void LsmFixture::open(const LsmEngineOptions& options) {
    const Status status = try_open(options);
    ASSERT_TRUE(status.ok()) << status.to_string();
}

void LsmFixture::close() {
    const Status status = run(engine_->close());
    EXPECT_TRUE(status.ok()) << status.to_string();
    engine_.reset();
}

void LsmFixture::reopen(const LsmEngineOptions& options) {
    close();
    open(options);
}

void LsmFixture::commit(std::uint64_t applied) {
    Status status = engine_->commit(Index(applied));
    if (status.code() == Code::kUnavailable) {
        status = run(engine_->commit_when_ready(Index(applied)));
    }
    ASSERT_TRUE(status.ok()) << status.to_string();
}

void LsmFixture::persist() {
    const Status status = run(engine_->persist());
    ASSERT_TRUE(status.ok()) << status.to_string();
}

std::optional<Bytes> LsmFixture::find(Table table, ByteView key) {
    ByteView value;
    const Result<bool> found = engine_->find_blocking(table, key, &value);
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    if (!found.ok() || !*found) {
        return std::nullopt;
    }
    return Bytes(value);
}

Rows LsmFixture::rows_by_view() {
    Rows rows;
    const std::unique_ptr<View> view = engine_->view();
    for (std::size_t number = 0; number < kTableCount; ++number) {
        const auto table = static_cast<Table>(number);
        const std::unique_ptr<Cursor> cursor = view->cursor(table);
        for (cursor->seek({}); cursor->valid(); cursor->next()) {
            rows.emplace(std::pair(table, Bytes(cursor->key())), Bytes(cursor->value()));
        }
        EXPECT_TRUE(cursor->status().ok()) << cursor->status().to_string();
    }
    return rows;
}

Rows LsmFixture::rows_by_snapshot() {
    Rows rows;
    const std::unique_ptr<SnapshotSource> source = engine_->snapshot_source();
    while (true) {
        Result<std::vector<SnapshotSource::Row>> some = run(source->next(4096));
        EXPECT_TRUE(some.ok()) << some.status().to_string();
        if (!some.ok() || some->empty()) {
            return rows;
        }
        for (SnapshotSource::Row& row : *some) {
            rows.emplace(std::pair(row.table, std::move(row.key)), std::move(row.value));
        }
    }
}

std::vector<std::filesystem::path> LsmFixture::files(const std::string& suffix) const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory())) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(suffix) || name.starts_with(suffix)) {
            found.push_back(entry.path());
        }
    }
    std::ranges::sort(found);
    return found;
}

void LsmFixture::flip(const std::filesystem::path& file, std::uint64_t offset, unsigned bit) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    KVSTORE_ASSERT(stream.good());
    stream.seekg(static_cast<std::streamoff>(offset));
    const int byte = stream.get();
    KVSTORE_ASSERT(byte >= 0);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(static_cast<char>(byte ^ (1 << bit)));
    stream.close();
    KVSTORE_ASSERT(stream.good());
}

}  // namespace kvstore::storage::lsm

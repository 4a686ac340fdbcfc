#include "mvcc/testing/map_engine.h"

#include <ranges>
#include <utility>

#include "base/assert.h"

namespace kvstore::mvcc::testing {
namespace {

using storage::Lookup;
using storage::Table;
using Rows = MapEngine::Rows;

std::size_t number(Table table) {
    return static_cast<std::size_t>(table);
}

// Asserts the contract of a view on an engine whose views do not block: no write while it stands.
class WriteWatch {
public:
    explicit WriteWatch(const std::uint64_t& write_count)
        : write_count_(write_count), seen_(write_count) {}
    void check() const { KVSTORE_ASSERT(write_count_ == seen_); }

private:
    const std::uint64_t& write_count_;
    std::uint64_t seen_;
};

class MapCursor final : public storage::Cursor {
public:
    MapCursor(const Rows& rows, WriteWatch watch) : rows_(rows), watch_(watch), at_(rows.end()) {}

    void seek(ByteView key) override {
        watch_.check();
        at_ = rows_.lower_bound(key);
    }
    void seek_before(ByteView key) override {
        watch_.check();
        at_ = rows_.lower_bound(key);
        at_ = at_ == rows_.begin() ? rows_.end() : std::prev(at_);
    }
    void seek_to_last() override {
        watch_.check();
        at_ = rows_.empty() ? rows_.end() : std::prev(rows_.end());
    }
    void next() override {
        KVSTORE_ASSERT(valid());
        ++at_;
    }
    void previous() override {
        KVSTORE_ASSERT(valid());
        at_ = at_ == rows_.begin() ? rows_.end() : std::prev(at_);
    }
    [[nodiscard]] bool valid() const override {
        watch_.check();
        return at_ != rows_.end();
    }
    [[nodiscard]] ByteView key() const override {
        KVSTORE_ASSERT(valid());
        return at_->first;
    }
    [[nodiscard]] ByteView value() const override {
        KVSTORE_ASSERT(valid());
        return at_->second;
    }
    [[nodiscard]] Status status() const override { return {}; }

private:
    const Rows& rows_;
    WriteWatch watch_;
    Rows::const_iterator at_;
};

class MapView final : public storage::View {
public:
    MapView(const MapEngine::Tables& tables, const std::uint64_t& write_count)
        : tables_(tables), watch_(write_count) {}

    Result<bool> find(Table table, ByteView key, ByteView* value) override {
        watch_.check();
        const Rows& rows = tables_[number(table)];
        const auto at = rows.find(key);
        if (at == rows.end()) {
            return false;
        }
        *value = at->second;
        return true;
    }
    [[nodiscard]] std::unique_ptr<storage::Cursor> cursor(Table table) const override {
        watch_.check();
        return std::make_unique<MapCursor>(tables_[number(table)], watch_);
    }

private:
    const MapEngine::Tables& tables_;
    WriteWatch watch_;
};

class MapSnapshot final : public storage::SnapshotSource {
public:
    MapSnapshot(const MapEngine::Tables& tables, Index applied) : applied_(applied) {
        for (std::size_t i = 0; i < tables.size(); ++i) {
            for (const auto& [key, value] : tables[i]) {
                rows_.push_back({.table = static_cast<Table>(i), .key = key, .value = value});
            }
        }
    }

    [[nodiscard]] Index applied_index() const override { return applied_; }

    async::Task<Result<std::vector<Row>>> next(std::size_t bytes_max) override {
        std::vector<Row> rows;
        for (std::size_t bytes = 0; at_ < rows_.size() && (rows.empty() || bytes < bytes_max);
             ++at_) {
            bytes += rows_[at_].key.size() + rows_[at_].value.size();
            rows.push_back(rows_[at_]);
        }
        co_return rows;
    }

private:
    Index applied_;
    std::vector<Row> rows_;
    std::size_t at_ = 0;
};

}  // namespace

MapEngine::MapEngine(Tables tables, Index applied)
    : tables_(std::move(tables)), applied_(applied), durable_(tables_), durable_applied_(applied) {}

std::unique_ptr<MapEngine> MapEngine::reopen_after_crash() const {
    return std::make_unique<MapEngine>(durable_, durable_applied_);
}

std::unique_ptr<MapEngine> MapEngine::reopen() const {
    return std::make_unique<MapEngine>(committed(), applied_);
}

Lookup MapEngine::find(Table table, ByteView key, ByteView* value) {
    KVSTORE_ASSERT(!closed_);
    if (!resident_ && table == Table::kCurrent && !prefetched_.contains(key)) {
        return Lookup::kMustLoad;
    }
    const Rows& rows = tables_[number(table)];
    const auto at = rows.find(key);
    if (at == rows.end()) {
        return Lookup::kAbsent;
    }
    *value = at->second;
    return Lookup::kFound;
}

async::Task<Result<std::optional<Bytes>>> MapEngine::load(Table table, Bytes key) {
    KVSTORE_ASSERT(!closed_);
    // What was committed before the call, not what the open batch holds.
    std::optional<Bytes> value;
    if (const auto at = tables_[number(table)].find(key); at != tables_[number(table)].end()) {
        value = at->second;
    }
    for (const Undo& undo : std::views::reverse(undo_)) {
        if (undo.table == table && undo.key == key) {
            value = undo.value;
        }
    }
    co_return value;
}

async::Task<Status> MapEngine::prefetch(std::vector<Bytes> keys) {
    prefetched_.insert(keys.begin(), keys.end());
    co_return Status();
}

Result<bool> MapEngine::find_blocking(Table table, ByteView key, ByteView* value) {
    KVSTORE_ASSERT(!closed_);
    ++blocking_read_count_;
    const Rows& rows = tables_[number(table)];
    const auto at = rows.find(key);
    if (at == rows.end()) {
        return false;
    }
    *value = at->second;
    return true;
}

std::unique_ptr<storage::View> MapEngine::view() {
    KVSTORE_ASSERT(!closed_);
    return std::make_unique<MapView>(tables_, write_count_);
}

void MapEngine::begin_write(Table table, ByteView key) {
    KVSTORE_ASSERT(!closed_);
    ++write_count_;
    const Rows& rows = tables_[number(table)];
    const auto at = rows.find(key);
    undo_.push_back({.table = table,
                     .key = Bytes(key),
                     .value = at == rows.end() ? std::nullopt : std::optional<Bytes>(at->second)});
}

void MapEngine::put(Table table, ByteView key, ByteView head, ByteView tail) {
    begin_write(table, key);
    // A fresh string, so that bytes of the old one are found stale by the address sanitizer.
    Bytes value;
    value.reserve(head.size() + tail.size());
    value.append(head).append(tail);
    Rows& rows = tables_[number(table)];
    if (const auto at = rows.find(key); at != rows.end()) {
        at->second = std::move(value);
    } else {
        rows.emplace(Bytes(key), std::move(value));
    }
}

void MapEngine::erase(Table table, ByteView key) {
    begin_write(table, key);
    Rows& rows = tables_[number(table)];
    if (const auto at = rows.find(key); at != rows.end()) {
        rows.erase(at);
    }
}

void MapEngine::erase_range(Table table, ByteView from, ByteView to) {
    Rows& rows = tables_[number(table)];
    const auto begin = rows.lower_bound(from);
    const auto end = to.empty() ? rows.end() : rows.lower_bound(to);
    if (!to.empty() && to <= from) {
        return;
    }
    for (auto at = begin; at != end; ++at) {
        begin_write(table, at->first);
    }
    rows.erase(begin, end);
}

Status MapEngine::commit(Index applied) {
    KVSTORE_ASSERT(!closed_);
    if (std::exchange(refuses_commit_, false)) {
        return {Code::kUnavailable, "the test refused this commit"};
    }
    KVSTORE_ASSERT(applied >= applied_);
    ++write_count_;
    applied_ = applied;
    undo_.clear();
    prefetched_.clear();
    return {};
}

async::Task<Status> MapEngine::commit_when_ready(Index applied) {
    refuses_commit_ = false;
    co_return commit(applied);
}

MapEngine::Tables MapEngine::committed() const {
    Tables tables = tables_;
    for (const Undo& undo : std::views::reverse(undo_)) {
        Rows& rows = tables[number(undo.table)];
        if (undo.value) {
            rows[undo.key] = *undo.value;
        } else {
            rows.erase(undo.key);
        }
    }
    return tables;
}

async::Task<Status> MapEngine::persist() {
    durable_ = committed();
    durable_applied_ = applied_;
    co_return Status();
}

std::unique_ptr<storage::SnapshotSource> MapEngine::snapshot_source() {
    return std::make_unique<MapSnapshot>(committed(), applied_);
}

async::Task<Status> MapEngine::verify() {
    co_return Status();
}

async::Task<Status> MapEngine::compact() {
    co_return Status();
}

storage::EngineStatistics MapEngine::statistics() const {
    storage::EngineStatistics statistics;
    statistics.key_count = tables_[number(Table::kCurrent)].size();
    statistics.blocking_read_count = blocking_read_count_;
    return statistics;
}

async::Task<Status> MapEngine::close() {
    closed_ = true;
    co_return Status();
}

}  // namespace kvstore::mvcc::testing

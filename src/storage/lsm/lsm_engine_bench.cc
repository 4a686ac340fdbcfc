// The engine beside plain RocksDB with the same memory, in one run, in turns: CPU nanoseconds an
// operation and their ratio, above 1 where the engine is cheaper. The log that makes writes durable
// is the WAL's, and measured there.
//
//     storage_lsm_engine_bench [keys] [rounds]
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <time.h>

#include "base/assert.h"
#include "base/coding.h"
#include "base/random.h"
#include "posix/runtime.h"
#include "storage/engine.h"
#include "storage/engines.h"

namespace kvstore::storage {
namespace {

constexpr std::uint64_t kCacheBytes = 256ULL << 20U;
constexpr std::uint64_t kWriteBufferBytes = 64ULL << 20U;
constexpr std::uint64_t kBatch = 64;
constexpr int kScanRows = 100;

Bytes key_of(std::uint64_t number) {
    Bytes key = "key:";
    put_big_endian64(key, mix64(number));
    return key;
}

// One of the two that are compared.
class Contestant {
public:
    virtual ~Contestant() = default;
    virtual void put(ByteView key, ByteView value) = 0;
    virtual void commit() = 0;
    virtual void settle() = 0;
    virtual bool get(ByteView key) = 0;
    virtual std::uint64_t scan(ByteView from) = 0;
};

class Plain final : public Contestant {
public:
    explicit Plain(const std::string& path) {
        rocksdb::Options options;
        options.create_if_missing = true;
        options.compression = rocksdb::kLZ4Compression;
        options.write_buffer_size = kWriteBufferBytes;
        options.max_open_files = -1;
        rocksdb::BlockBasedTableOptions table;
        table.block_cache = rocksdb::NewLRUCache(kCacheBytes);
        table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
        options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
        rocksdb::DB* opened = nullptr;
        KVSTORE_ASSERT(rocksdb::DB::Open(options, path, &opened).ok());
        db_.reset(opened);
        write_.disableWAL = true;
    }

    void put(ByteView key, ByteView value) override {
        KVSTORE_ASSERT(batch_.Put(rocksdb::Slice(key), rocksdb::Slice(value)).ok());
    }
    void commit() override {
        KVSTORE_ASSERT(db_->Write(write_, &batch_).ok());
        batch_.Clear();
    }
    void settle() override {
        KVSTORE_ASSERT(db_->Flush({}).ok());
        KVSTORE_ASSERT(db_->CompactRange({}, nullptr, nullptr).ok());
    }
    bool get(ByteView key) override {
        value_.Reset();
        return db_->Get({}, db_->DefaultColumnFamily(), rocksdb::Slice(key), &value_).ok();
    }
    std::uint64_t scan(ByteView from) override {
        std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator({}));
        std::uint64_t bytes = 0;
        int count = 0;
        for (rows->Seek(rocksdb::Slice(from)); rows->Valid() && count < kScanRows; rows->Next()) {
            bytes += rows->key().size() + rows->value().size();
            ++count;
        }
        return bytes;
    }

private:
    std::unique_ptr<rocksdb::DB> db_;
    rocksdb::WriteOptions write_;
    rocksdb::WriteBatch batch_;
    rocksdb::PinnableSlice value_;
};

class Ours final : public Contestant {
public:
    explicit Ours(const std::string& path) {
        posix::RuntimeOptions options;
        options.root_directory = path;
        runtime_ = std::make_unique<posix::Runtime>(options);
        LsmSharedOptions shared;
        shared.cache_bytes = kCacheBytes;
        LsmEngineOptions engine;
        engine.write_buffer_bytes = kWriteBufferBytes;
        engine.shared = make_lsm_shared(shared);
        auto opened = runtime_->block_on(open_lsm_engine(&runtime_->env(), "shard", engine));
        KVSTORE_ASSERT(opened.ok());
        engine_ = *std::move(opened);
    }
    ~Ours() override { KVSTORE_ASSERT(runtime_->block_on(engine_->close()).ok()); }

    void put(ByteView key, ByteView value) override { engine_->put(Table::kCurrent, key, value); }
    void commit() override {
        applied_ = applied_.next();
        Status status = engine_->commit(applied_);
        if (status.code() == Code::kUnavailable) {
            status = runtime_->block_on(engine_->commit_when_ready(applied_));
        }
        KVSTORE_ASSERT(status.ok());
    }
    void settle() override {
        KVSTORE_ASSERT(runtime_->block_on(engine_->persist()).ok());
        KVSTORE_ASSERT(runtime_->block_on(engine_->compact()).ok());
    }
    bool get(ByteView key) override {
        ByteView value;
        const Lookup lookup = engine_->find(Table::kCurrent, key, &value);
        if (lookup != Lookup::kMustLoad) {
            return lookup == Lookup::kFound;
        }
        auto loaded = runtime_->block_on(engine_->load(Table::kCurrent, Bytes(key)));
        KVSTORE_ASSERT(loaded.ok());
        return loaded->has_value();
    }
    std::uint64_t scan(ByteView from) override {
        const std::unique_ptr<View> view = engine_->view();
        const std::unique_ptr<Cursor> rows = view->cursor(Table::kCurrent);
        std::uint64_t bytes = 0;
        int count = 0;
        for (rows->seek(from); rows->valid() && count < kScanRows; rows->next(), ++count) {
            bytes += rows->key().size() + rows->value().size();
        }
        return bytes;
    }

private:
    std::unique_ptr<posix::Runtime> runtime_;
    std::unique_ptr<Engine> engine_;
    Index applied_;
};

enum class Work : std::uint8_t { kFill, kGet, kGetHot, kGetAbsent, kScan };

// Of the core alone while it fills: flushes and compactions run beside it. Of all threads while it
// reads, since a miss is read on the pool.
double cpu_nanoseconds(Work work) {
    timespec now{};
    clock_gettime(work == Work::kFill ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Nanoseconds an operation.
double measure(Contestant& contestant, Work work, std::uint64_t keys, std::uint64_t count) {
    Random random(static_cast<std::uint64_t>(work) + 1);
    const Bytes value(100, 'v');
    std::uint64_t sum = 0;
    const double begin = cpu_nanoseconds(work);
    for (std::uint64_t i = 0; i < count; ++i) {
        switch (work) {
            case Work::kFill:
                contestant.put(key_of(i), value);
                if (i % kBatch == kBatch - 1) {
                    contestant.commit();
                }
                break;
            case Work::kGet: sum += contestant.get(key_of(random.below(keys))) ? 1 : 0; break;
            case Work::kGetHot: {
                // Nine of ten reads go to a tenth of the keys.
                const bool is_hot = random.chance(9, 10);
                sum += contestant.get(key_of(random.below(is_hot ? keys / 10 : keys))) ? 1 : 0;
                break;
            }
            case Work::kGetAbsent:
                sum += contestant.get(key_of(keys + random.below(keys))) ? 1 : 0;
                break;
            case Work::kScan: sum += contestant.scan(key_of(random.below(keys))); break;
        }
    }
    const double took = cpu_nanoseconds(work) - begin;
    KVSTORE_ASSERT(work == Work::kFill || (sum > 0) == (work != Work::kGetAbsent));
    if (work == Work::kFill) {
        contestant.commit();
        contestant.settle();
    }
    return took / static_cast<double>(count);
}

template <typename... Values>
void print(const char* format, Values... values) {
    std::array<char, 128> line{};
    static_cast<void>(std::snprintf(line.data(), line.size(), format, values...));
    static_cast<void>(std::fputs(line.data(), stdout));
    static_cast<void>(std::fflush(stdout));
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

int run(std::uint64_t keys, int rounds) {
    const std::filesystem::path root = std::filesystem::temp_directory_path() / "kvstore-lsm-bench";
    std::filesystem::remove_all(root);
    std::filesystem::create_directories(root / "ours");
    Plain plain((root / "plain").string());
    Ours ours((root / "ours").string());

    struct Line {
        const char* name;
        Work work;
        std::uint64_t count;
    };
    const std::vector<Line> lines = {{"fill", Work::kFill, keys},
                                     {"get", Work::kGet, keys},
                                     {"get, hot and cold", Work::kGetHot, keys},
                                     {"get, absent", Work::kGetAbsent, keys / 4},
                                     {"scan 100", Work::kScan, keys / 50}};
    print("%-20s %12s %12s %8s\n", "", "plain ns", "ours ns", "ratio");
    for (const Line& line : lines) {
        std::vector<double> theirs;
        std::vector<double> mine;
        const int times = line.work == Work::kFill ? 1 : rounds;
        for (int round = 0; round < times; ++round) {
            theirs.push_back(measure(plain, line.work, keys, line.count));
            mine.push_back(measure(ours, line.work, keys, line.count));
        }
        print("%-20s %12.0f %12.0f %8.2f\n",
              line.name,
              median(theirs),
              median(mine),
              median(theirs) / median(mine));
    }
    std::filesystem::remove_all(root);
    return 0;
}

}  // namespace
}  // namespace kvstore::storage

int main(int argc, char** argv) {
    const std::uint64_t keys = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
    return kvstore::storage::run(keys, rounds);
}

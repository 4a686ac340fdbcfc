// What the memory engine costs in process: CPU nanoseconds an operation and bytes a key, with keys
// of 16 bytes and values of 114 (100 and a record's head).
//
//     storage_memory_engine_bench [millions of keys, 1 unless said]
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>
#include <utility>
#include <vector>

#include <time.h>

#include "base/bytes.h"
#include "base/random.h"
#include "storage/memory/table_set.h"

namespace {

using kvstore::Bytes;
using kvstore::ByteView;
using kvstore::Index;
using kvstore::storage::Table;
using kvstore::storage::memory::MemoryTable;
using kvstore::storage::memory::TableSet;

constexpr std::size_t kValueSize = 114;
constexpr std::size_t kBatchSize = 16;

// Of this thread alone: what others do on the machine counts less.
double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void report(const char* name, double figure, const char* unit) {
    std::array<char, 128> line{};
    static_cast<void>(
        std::snprintf(line.data(), line.size(), "%-32s %10.1f %s\n", name, figure, unit));
    static_cast<void>(std::fputs(line.data(), stdout));
    static_cast<void>(std::fflush(stdout));
}

template <typename Work>
void measure(const char* name, std::uint64_t count, Work work) {
    const double start = cpu_seconds();
    work();
    report(name, (cpu_seconds() - start) / static_cast<double>(count) * 1e9, "ns");
}

class Key {
public:
    explicit Key(std::uint64_t number) {
        bytes_[0] = 'k';
        for (std::size_t i = bytes_.size() - 1; i > 0; --i) {
            bytes_[i] = static_cast<char>('0' + number % 10);
            number /= 10;
        }
    }
    [[nodiscard]] ByteView view() const { return {bytes_.data(), bytes_.size()}; }

private:
    std::array<char, 16> bytes_;
};

class Bench {
public:
    explicit Bench(std::uint64_t count) : count_(count), order_(count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            order_[i] = i;
        }
        for (std::uint64_t i = count - 1; i > 0; --i) {
            std::swap(order_[i], order_[random_.below(i + 1)]);
        }
    }

    void run() {
        measure("insert, random order", count_, [this] { insert(); });
        report("memory a key, random order", bytes_per_key(tables_), "bytes");
        measure("get", count_, [this] { get(); });
        measure("get, absent", count_, [this] { get_absent(); });
        measure("get of 16, hinted, a key", count_, [this] { get_hinted(); });
        measure("put over", count_, [this] { put_over(); });
        measure("put over of 16, hinted, a key", count_, [this] { put_over_hinted(); });
        report("longest put", longest_put_ * 1e6, "us");
        measure("scan of all, a key", count_, [this] { scan_all(); });
        measure("scan of 100, a scan", count_ / 100, [this] { scan_some(); });
        measure("erase, random order", count_ / 2, [this] { erase(); });
        measure("clear of the other half", 1, [this] {
            tables_.erase_range(Table::kCurrent, {}, {});
            commit(tables_);
        });
        TableSet loaded;
        measure("load, ascending", count_, [this, &loaded] { load(loaded); });
        report("memory a key, ascending", bytes_per_key(loaded), "bytes");
        measure_peer();
        report("checksum of what was seen", static_cast<double>(seen_), "");
    }

private:
    static double bytes_per_key(const TableSet& tables) {
        return static_cast<double>(tables.memory_bytes()) /
               static_cast<double>(tables.rows(Table::kCurrent).key_count());
    }
    void commit(TableSet& tables) { tables.commit(Index(++applied_)); }
    Key random_key() { return Key(random_.below(count_)); }
    void look(const Key& key) {
        ByteView value;
        if (tables_.find(Table::kCurrent, key.view(), &value)) {
            seen_ += static_cast<std::uint64_t>(value.back());
        }
    }

    void insert() {
        for (const std::uint64_t number : order_) {
            put(Key(number), value_);
        }
    }
    void put(const Key& key, const Bytes& value) {
        tables_.put(Table::kCurrent, key.view(), value, {});
        commit(tables_);
    }
    void get() {
        for (std::uint64_t i = 0; i < count_; ++i) {
            look(random_key());
        }
    }
    // What to compare with on this machine, at this moment.
    void measure_peer() {
        std::unordered_map<Bytes, Bytes> peer;
        for (std::uint64_t i = 0; i < count_; ++i) {
            peer.emplace(Key(i).view(), value_);
        }
        measure("(get of std::unordered_map)", count_, [this, &peer] {
            for (std::uint64_t i = 0; i < count_; ++i) {
                seen_ += peer.find(Bytes(random_key().view()))->second.size();
            }
        });
    }
    void get_absent() {
        for (std::uint64_t i = 0; i < count_; ++i) {
            look(Key(count_ + random_.below(count_)));
        }
    }
    std::vector<Key> hinted_keys() {
        std::vector<Key> keys;
        keys.reserve(kBatchSize);
        for (std::size_t i = 0; i < kBatchSize; ++i) {
            keys.push_back(random_key());
            tables_.hint(Table::kCurrent, keys.back().view());
        }
        return keys;
    }
    void get_hinted() {
        for (std::uint64_t i = 0; i < count_; i += kBatchSize) {
            for (const Key& key : hinted_keys()) {
                look(key);
            }
        }
    }
    void put_over() {
        for (std::uint64_t i = 0; i < count_; ++i) {
            const Key key = random_key();
            const double start = i % 16 == 0 ? cpu_seconds() : 0;
            put(key, other_value_);
            if (i % 16 == 0) {
                longest_put_ = std::max(longest_put_, cpu_seconds() - start);
            }
        }
    }
    void put_over_hinted() {
        for (std::uint64_t i = 0; i < count_; i += kBatchSize) {
            for (const Key& key : hinted_keys()) {
                put(key, value_);
            }
        }
    }
    void scan(MemoryTable::Cursor& cursor, std::uint64_t count_max) {
        for (std::uint64_t i = 0; i < count_max && cursor.valid(); ++i) {
            seen_ += static_cast<std::uint64_t>(cursor.value().back());
            cursor.next();
        }
    }
    void scan_all() {
        MemoryTable::Cursor cursor(&tables_.rows(Table::kCurrent));
        cursor.seek({});
        scan(cursor, count_);
    }
    void scan_some() {
        MemoryTable::Cursor cursor(&tables_.rows(Table::kCurrent));
        for (std::uint64_t i = 0; i < count_ / 100; ++i) {
            cursor.seek(random_key().view());
            scan(cursor, 100);
        }
    }
    void erase() {
        for (std::uint64_t i = 0; i < count_ / 2; ++i) {
            tables_.erase(Table::kCurrent, Key(order_[i]).view());
            commit(tables_);
        }
    }
    void load(TableSet& tables) {
        for (std::uint64_t i = 0; i < count_; ++i) {
            tables.append(Table::kCurrent, Key(i).view(), value_);
        }
        tables.end_append();
        commit(tables);
    }

    std::uint64_t count_;
    kvstore::Random random_{1};
    std::vector<std::uint64_t> order_;
    TableSet tables_;
    const Bytes value_ = Bytes(kValueSize, 'v');
    const Bytes other_value_ = Bytes(kValueSize, 'w');
    std::uint64_t applied_ = 0;
    std::uint64_t seen_ = 0;
    double longest_put_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t millions = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    Bench(std::max<std::uint64_t>(millions, 1) * 1'000'000).run();
    return 0;
}

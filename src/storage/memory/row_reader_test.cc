// Readers on other cores against a writer that puts, erases, grows, shrinks, clears and compacts:
// what they see must be whole, of the right key, and never older than what they saw before. Run
// under -fsanitize=thread this also proves that the memory order is right.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>

#include "base/coding.h"
#include "base/random.h"
#include "storage/memory/table_set.h"

namespace kvstore::storage::memory {
namespace {

constexpr std::uint64_t kKeyCount = 3'000;

Bytes key_of(std::uint64_t number) {
    return "key-" + std::to_string(number);
}

// A value that shows by itself whether it is whole: its key, a count that only rises, and filling
// that follows from both.
Bytes value_of(std::uint64_t number, std::uint64_t count) {
    Bytes value = key_of(number);
    value.push_back(':');
    put_fixed(value, count);
    value.append((number * 31 + count) % 200, static_cast<char>('a' + count % 26));
    return value;
}

struct ReaderState {
    std::unique_ptr<RowReader> reader;
    const std::atomic<bool>* stop = nullptr;
    std::uint64_t seed = 0;
    std::uint64_t found = 0;
    std::uint64_t wrong = 0;
};

void* read_until_stopped(void* argument) {
    auto* state = static_cast<ReaderState*>(argument);
    Random random(state->seed);
    std::vector<std::uint64_t> newest(kKeyCount, 0);
    Bytes value;
    while (!state->stop->load(std::memory_order_relaxed)) {
        const std::uint64_t number = random.below(kKeyCount);
        if (!state->reader->find(key_of(number), &value)) {
            continue;
        }
        ++state->found;
        const std::size_t count_at = key_of(number).size() + 1;
        const std::uint64_t count =
            value.size() >= count_at + 8 ? load_fixed<std::uint64_t>(value.data() + count_at) : 0;
        if (value != value_of(number, count) || count < newest[number]) {
            ++state->wrong;
        }
        newest[number] = count;
    }
    return nullptr;
}

class Threads {
public:
    Threads(TableSet& tables, std::size_t count) : states_(count), threads_(count) {
        for (std::size_t i = 0; i < count; ++i) {
            states_[i].reader = tables.add_reader();
            states_[i].stop = &stop_;
            states_[i].seed = i + 1;
            EXPECT_EQ(pthread_create(&threads_[i], nullptr, read_until_stopped, &states_[i]), 0);
        }
    }
    std::vector<ReaderState>& join() {
        stop_.store(true);
        for (const pthread_t thread : threads_) {
            EXPECT_EQ(pthread_join(thread, nullptr), 0);
        }
        return states_;
    }

private:
    std::atomic<bool> stop_{false};
    std::vector<ReaderState> states_;
    std::vector<pthread_t> threads_;
};

TEST(RowReader, SeesWholeAndRisingValuesWhileTheWriterDoesEverything) {
    TableSet tables;
    Random random(42);
    std::uint64_t count = 1;
    std::uint64_t applied = 0;
    Threads threads(tables, 3);
    for (int round = 0; round < 12; ++round) {
        const std::uint64_t puts_of_ten = round % 2 == 0 ? 8 : 2;
        for (int i = 0; i < 4'000; ++i) {
            const std::uint64_t number = random.below(kKeyCount);
            if (random.below(10) < puts_of_ten) {
                tables.put(Table::kCurrent, key_of(number), value_of(number, ++count), {});
            } else {
                tables.erase(Table::kCurrent, key_of(number));
            }
            tables.commit(Index(++applied));
        }
        while (tables.compact_step()) {
        }
        tables.check();
        if (round % 5 == 4) {
            tables.erase_range(Table::kCurrent, {}, {});
            tables.commit(Index(++applied));
        }
    }
    std::vector<ReaderState>& states = threads.join();
    for (ReaderState& state : states) {
        EXPECT_EQ(state.wrong, 0U);
        EXPECT_GT(state.found, 0U);
        state.reader.reset();
    }
}

// Keys that always exist are found at every look, however often the hash splits and merges around
// them.
TEST(RowReader, NeverMissesAKeyThatMovesBetweenBuckets) {
    TableSet tables;
    for (std::uint64_t i = 0; i < kKeyCount; ++i) {
        tables.put(Table::kCurrent, key_of(i), value_of(i, 1), {});
    }
    tables.commit(Index(1));

    struct State {
        std::unique_ptr<RowReader> reader;
        std::atomic<bool> stop{false};
        std::uint64_t missed = 0;
        std::uint64_t looks = 0;
    } state;
    state.reader = tables.add_reader();
    pthread_t thread{};
    const auto body = +[](void* argument) -> void* {
        auto* state = static_cast<State*>(argument);
        Bytes value;
        while (!state->stop.load(std::memory_order_relaxed)) {
            const std::uint64_t number = state->looks++ % kKeyCount;
            state->missed += state->reader->find(key_of(number), &value) ? 0 : 1;
        }
        return nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, nullptr, body, &state), 0);
    for (std::uint64_t round = 0; round < 6; ++round) {
        for (std::uint64_t i = 0; i < 4 * kKeyCount; ++i) {
            tables.put(Table::kCurrent, "more-" + std::to_string(i), "x", {});
            tables.commit(Index(2));
        }
        for (std::uint64_t i = 0; i < 4 * kKeyCount; ++i) {
            tables.erase(Table::kCurrent, "more-" + std::to_string(i));
            tables.commit(Index(2));
        }
    }
    state.stop.store(true);
    ASSERT_EQ(pthread_join(thread, nullptr), 0);
    EXPECT_EQ(state.missed, 0U);
    EXPECT_GT(state.looks, 0U);
    state.reader.reset();
}

TEST(RowReader, GivesItsPlaceToTheNext) {
    TableSet tables;
    tables.put(Table::kCurrent, "key", "value", {});
    tables.commit(Index(1));
    for (int i = 0; i < 1'000; ++i) {
        const std::unique_ptr<RowReader> reader = tables.add_reader();
        Bytes value;
        EXPECT_TRUE(reader->find("key", &value));
        EXPECT_EQ(value, "value");
        EXPECT_FALSE(reader->find("other", &value));
    }
}

}  // namespace
}  // namespace kvstore::storage::memory

// Every number that the process shows about itself, and their Prometheus text.
//
//     Counter& hits = registry.add_counter("kvstore_cache_hits_total", "Reads found in memory.",
//     {}); hits.add();
//
// Each core adds its own instruments, also under the same name and labels: the registry adds them
// up when it is asked. Recording is a load and a store, without a lock, an allocation or a shared
// line.
//
// Names follow STYLE.md: `kvstore_<module>_<noun>_<unit>`, counters end in `_total`, times are in
// seconds and sizes in bytes. A name has one type and one help text.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "base/time.h"
#include "metrics/histogram.h"

namespace kvstore::metrics {

// In the order in which they are shown.
using Labels = std::vector<std::pair<std::string, std::string>>;

// A count that only rises.
//
// Runs on   add() one thread, the owner, or add_from_any_thread() any; never both on one counter.
class Counter {
public:
    void add(std::uint64_t by = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
    void add_from_any_thread(std::uint64_t by = 1) noexcept {
        value_.fetch_add(by, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

private:
    alignas(64) std::atomic<std::uint64_t> value_{0};
};

// A number that goes up and down.
//
// Runs on   set() and add() one thread, the owner.
class Gauge {
public:
    void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t by) noexcept { set(value() + by); }
    [[nodiscard]] std::int64_t value() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

private:
    alignas(64) std::atomic<std::int64_t> value_{0};
};

// What the recorded whole numbers count, and so what they are divided by to be shown.
enum class Unit : std::uint8_t {
    kNanoseconds,  // shown in seconds
    kBytes,
    kCount,
};

enum class HistogramForm : std::uint8_t {
    kBuckets,  // _bucket with `le`, _sum and _count: can be added up over nodes
    kSummary,  // p50 to p99.9 of the last minute or two with `quantile`, and _sum and _count
};

class Registry;

// Takes its gauge away when it is destroyed. Lifetime: not beyond its registry.
class [[nodiscard]] Registration {
public:
    Registration() noexcept = default;
    Registration(Registration&& other) noexcept
        : registry_(std::exchange(other.registry_, nullptr)), id_(other.id_) {}
    Registration& operator=(Registration&& other) noexcept;
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    ~Registration();

private:
    friend class Registry;
    Registration(Registry& registry, std::uint64_t id) : registry_(&registry), id_(id) {}

    Registry* registry_ = nullptr;
    std::uint64_t id_ = 0;
};

// Lifetime  Outlives all who record. Instruments live as long as it does.
// Runs on   Any thread.
class Registry {
public:
    Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;
    ~Registry();

    // Requires, of all add_ functions: a name and label names of [a-zA-Z_][a-zA-Z0-9_]*; the same
    // type and help wherever the name is used. Asserted.
    Counter& add_counter(std::string_view name, std::string_view help, Labels labels = {});
    Gauge& add_gauge(std::string_view name, std::string_view help, Labels labels = {});
    Histogram& add_histogram(std::string_view name,
                             std::string_view help,
                             Labels labels,
                             Unit unit,
                             HistogramForm form = HistogramForm::kBuckets);

    // `read` is called by expose(), on its thread and under the registry's lock: it reads what may
    // be read from there, and calls nothing of the registry.
    Registration add_gauge_callback(std::string_view name,
                                    std::string_view help,
                                    Labels labels,
                                    Callback<double()> read);
    // As above, for counts that another library keeps.
    Registration add_counter_callback(std::string_view name,
                                      std::string_view help,
                                      Labels labels,
                                      Callback<double()> read);

    // All of it in the Prometheus text format 0.0.4, families in order of their names. `now` moves
    // the window of summaries along.
    [[nodiscard]] std::string expose(MonotonicTime now);

    // What a counter or gauge of that name and those labels adds up to; for status pages and tests.
    // 0 where there is none.
    [[nodiscard]] double value(std::string_view name, const Labels& labels = {});

    static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";
    // Summaries are over the last one to two of these.
    static constexpr Duration kSummaryWindow = std::chrono::minutes(1);

private:
    friend class Registration;
    struct Series;
    struct Family;
    enum class Type : std::uint8_t { kCounter, kGauge, kHistogram, kSummary };

    Series& series(std::string_view name, std::string_view help, Type type, Labels labels);
    Registration add_callback(std::string_view name,
                              std::string_view help,
                              Type type,
                              Labels labels,
                              Callback<double()> read);
    void remove_callback(std::uint64_t id);

    std::mutex mutex_;
    // Guarded by mutex_, as are the callbacks and windows within.
    std::map<std::string, Family, std::less<>> families_;
    std::uint64_t last_callback_ = 0;
};

}  // namespace kvstore::metrics

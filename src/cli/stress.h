// What a stress test does and what it found, whichever way the operations travel.
#pragma once

#include <cstdint>
#include <string>

#include "base/random.h"
#include "base/status.h"
#include "base/time.h"
#include "env/network.h"
#include "metrics/histogram.h"

namespace kvstore::cli {

enum class Workload : std::uint8_t { kReadHeavy, kWriteHeavy, kMixed };
enum class Distribution : std::uint8_t { kUniform, kHotCold };

struct StressPlan {
    Workload workload = Workload::kMixed;
    Distribution distribution = Distribution::kUniform;
    std::uint64_t key_count = 10'000;
    std::uint64_t key_bytes = 16;
    std::uint64_t value_bytes = 100;
    std::uint64_t client_count = 16;
    std::uint64_t pipeline = 1;
    Duration span = std::chrono::seconds(10);
    std::uint64_t operation_count = 0;  // ends the test instead of `span`; 0: does not
};

// Read from the operating system at the call: env's clock stands still within a turn, and a read
// from memory is far shorter than a turn.
[[nodiscard]] std::uint64_t stopwatch_nanoseconds();

// What the clients of a test share: whose turn it is, and what came of it.
//
// Runs on   One core.
class StressRun {
public:
    StressRun(const StressPlan& plan, std::uint64_t seed);

    struct Operation {
        bool is_read = false;
        std::uint64_t key = 0;
    };
    // False when the test is over: no more operations begin.
    [[nodiscard]] bool begin(Operation* operation);
    void end(const Operation& operation, std::uint64_t began_ns);
    void fail(const Operation& operation, const std::string& why);
    void stop() { is_stopping_ = true; }
    [[nodiscard]] bool is_stopping() const { return is_stopping_; }

    [[nodiscard]] std::string key(std::uint64_t number) const;
    [[nodiscard]] const std::string& value() const { return value_; }
    [[nodiscard]] const StressPlan& plan() const { return plan_; }

    void start_measuring();
    void end_measuring();
    [[nodiscard]] std::uint64_t done_count() const { return read_count_ + write_count_; }
    [[nodiscard]] std::uint64_t error_count() const { return error_count_; }
    [[nodiscard]] Duration elapsed() const;
    // For people, and as one JSON object.
    [[nodiscard]] std::string report_text() const;
    [[nodiscard]] std::string report_json() const;

private:
    StressPlan plan_;
    Random random_;
    std::string value_;
    metrics::Histogram reads_;
    metrics::Histogram writes_;
    std::uint64_t begun_count_ = 0;
    std::uint64_t read_count_ = 0;
    std::uint64_t write_count_ = 0;
    std::uint64_t error_count_ = 0;
    std::string first_error_;
    std::uint64_t started_ns_ = 0;
    std::uint64_t ended_ns_ = 0;  // 0 while it runs
    bool is_stopping_ = false;
};

// "850 ns", "12.5 us", "3.2 ms", "1.4 s".
[[nodiscard]] std::string span_text(std::uint64_t nanoseconds);

}  // namespace kvstore::cli

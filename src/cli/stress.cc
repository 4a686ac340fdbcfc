#include "cli/stress.h"

#include <algorithm>
#include <ctime>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/progress_bar.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

std::uint64_t read_percent(Workload workload) {
    switch (workload) {
        case Workload::kReadHeavy: return 90;
        case Workload::kWriteHeavy: return 10;
        case Workload::kMixed: return 50;
    }
    return 50;
}

// Four fifths of the operations go to the first fifth of the keys.
std::uint64_t pick_key(const StressPlan& plan, Random& random) {
    const std::uint64_t hot = std::max<std::uint64_t>(1, plan.key_count / 5);
    const bool is_hot = plan.distribution == Distribution::kHotCold && random.below(5) != 0;
    return random.below(is_hot ? hot : plan.key_count);
}

std::string latency_line(std::string_view name, const metrics::HistogramSnapshot& times) {
    std::string line = "  " + std::string(name);
    line.resize(10, ' ');
    if (times.count() == 0) {
        return line + "none\n";
    }
    line += "mean " + span_text(static_cast<std::uint64_t>(times.mean()));
    line += "  p50 " + span_text(times.quantile(0.5)) + "  p95 " + span_text(times.quantile(0.95));
    line += "  p99 " + span_text(times.quantile(0.99));
    line += "  p99.9 " + span_text(times.quantile(0.999)) + "  max " + span_text(times.max());
    return line + "\n";
}

json::object latency_json(const metrics::HistogramSnapshot& times) {
    json::object body;
    body["count"] = times.count();
    body["mean_ns"] = times.mean();
    body["p50_ns"] = times.quantile(0.5);
    body["p95_ns"] = times.quantile(0.95);
    body["p99_ns"] = times.quantile(0.99);
    body["p99_9_ns"] = times.quantile(0.999);
    body["max_ns"] = times.max();
    return body;
}

std::uint64_t rate(std::uint64_t count, Duration elapsed) {
    const double seconds = std::chrono::duration<double>(elapsed).count();
    return seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(count) / seconds) : 0;
}

}  // namespace

std::uint64_t stopwatch_nanoseconds() {
    std::timespec now{};
    (void)::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000ULL +
           static_cast<std::uint64_t>(now.tv_nsec);
}

std::string span_text(std::uint64_t nanoseconds) {
    if (nanoseconds < 1000) {
        return std::to_string(nanoseconds) + " ns";
    }
    std::uint64_t tenths = nanoseconds / 100;
    std::string_view unit = " us";
    for (const std::string_view larger : {" ms", " s"}) {
        if (tenths >= 10'000) {
            tenths /= 1000;
            unit = larger;
        }
    }
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + std::string(unit);
}

StressRun::StressRun(const StressPlan& plan, std::uint64_t seed)
    : plan_(plan), random_(seed), value_(plan.value_bytes, 'x') {}

bool StressRun::begin(Operation* operation) {
    if (is_stopping_ || (plan_.operation_count != 0 && begun_count_ >= plan_.operation_count)) {
        return false;
    }
    ++begun_count_;
    // Timers wait for the end of a turn, and operations in memory make a turn long.
    constexpr std::uint64_t kLookAtClock = 256;
    if (plan_.operation_count == 0 && begun_count_ % kLookAtClock == 0 && elapsed() >= plan_.span) {
        is_stopping_ = true;
    }
    operation->is_read = random_.below(100) < read_percent(plan_.workload);
    operation->key = pick_key(plan_, random_);
    return true;
}

void StressRun::end(const Operation& operation, std::uint64_t began_ns) {
    const std::uint64_t span = stopwatch_nanoseconds() - began_ns;
    if (operation.is_read) {
        ++read_count_;
        reads_.record(span);
    } else {
        ++write_count_;
        writes_.record(span);
    }
}

void StressRun::fail(const Operation& /*operation*/, const std::string& why) {
    if (error_count_++ == 0) {
        first_error_ = why;
    }
}

std::string StressRun::key(std::uint64_t number) const {
    std::string digits = std::to_string(number);
    const std::size_t size = std::max<std::size_t>(plan_.key_bytes, digits.size() + 1);
    return "k" + std::string(size - 1 - digits.size(), '0') + digits;
}

void StressRun::start_measuring() {
    started_ns_ = stopwatch_nanoseconds();
}

void StressRun::end_measuring() {
    ended_ns_ = stopwatch_nanoseconds();
}

Duration StressRun::elapsed() const {
    const std::uint64_t end = ended_ns_ != 0 ? ended_ns_ : stopwatch_nanoseconds();
    return Duration(static_cast<std::int64_t>(end - started_ns_));
}

std::string StressRun::report_text() const {
    const auto reads = reads_.snapshot();
    const auto writes = writes_.snapshot();
    const auto ns = static_cast<std::uint64_t>(elapsed().count());
    std::string text = "response time\n";
    text += latency_line("reads", reads) + latency_line("writes", writes);
    text += "throughput\n  " + with_thousands(rate(done_count(), elapsed())) + " operations/s (" +
            with_thousands(done_count()) + " in " + span_text(ns) + ", " +
            with_thousands(read_count_) + " reads, " + with_thousands(write_count_) + " writes)\n";
    text += "errors encountered\n  " + with_thousands(error_count_);
    return text + (error_count_ == 0 ? "\n" : ", the first: " + first_error_ + "\n");
}

std::string StressRun::report_json() const {
    json::object body;
    body["operations"] = done_count();
    body["operations_per_second"] = rate(done_count(), elapsed());
    body["seconds"] = std::chrono::duration<double>(elapsed()).count();
    body["errors"] = error_count_;
    body["reads"] = latency_json(reads_.snapshot());
    body["writes"] = latency_json(writes_.snapshot());
    return json::serialize(body) + "\n";
}

}  // namespace kvstore::cli

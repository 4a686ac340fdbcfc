#include "metrics/registry.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace kvstore::metrics {
namespace {

constexpr MonotonicTime kBegin{std::chrono::hours(1)};

TEST(Registry, ShowsNothingAtFirst) {
    EXPECT_EQ(Registry().expose(kBegin), "");
}

TEST(Registry, ShowsACounterWithHelpAndType) {
    Registry registry;
    registry.add_counter("kvstore_requests_total", "Requests.", {{"method", "get"}}).add(3);

    EXPECT_EQ(registry.expose(kBegin),
              "# HELP kvstore_requests_total Requests.\n"
              "# TYPE kvstore_requests_total counter\n"
              "kvstore_requests_total{method=\"get\"} 3\n");
}

TEST(Registry, AddsUpWhatCoresRecordUnderOneName) {
    Registry registry;
    Counter& first = registry.add_counter("kvstore_requests_total", "Requests.");
    Counter& second = registry.add_counter("kvstore_requests_total", "Requests.");
    first.add(2);
    second.add(40);

    EXPECT_NE(registry.expose(kBegin).find("kvstore_requests_total 42\n"), std::string::npos);
    EXPECT_EQ(registry.value("kvstore_requests_total"), 42);
}

TEST(Registry, ShowsFamiliesAndSeriesInOrderUnderOneHeader) {
    Registry registry;
    registry.add_gauge("kvstore_b", "B.", {{"x", "2"}}).set(-2);
    registry.add_gauge("kvstore_a", "A.").set(7);
    registry.add_gauge("kvstore_b", "B.", {{"x", "1"}}).set(1);

    EXPECT_EQ(registry.expose(kBegin),
              "# HELP kvstore_a A.\n# TYPE kvstore_a gauge\nkvstore_a 7\n"
              "# HELP kvstore_b B.\n# TYPE kvstore_b gauge\n"
              "kvstore_b{x=\"1\"} 1\nkvstore_b{x=\"2\"} -2\n");
}

TEST(Registry, EscapesHelpAndLabelValuesEachInItsWay) {
    Registry registry;
    registry.add_gauge("kvstore_a", "say \"hi\"\\\nbye", {{"path", "a\"b\\c\nd"}}).set(1);

    EXPECT_EQ(registry.expose(kBegin),
              "# HELP kvstore_a say \"hi\"\\\\\\nbye\n"
              "# TYPE kvstore_a gauge\n"
              "kvstore_a{path=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(Registry, ShowsTimeHistogramsInSecondsWithCumulativeBuckets) {
    Registry registry;
    Histogram& histogram = registry.add_histogram(
        "kvstore_wait_seconds", "Waits.", {{"core", "0"}}, Unit::kNanoseconds);
    histogram.record(1'000'000);
    histogram.record(1'000'000);
    histogram.record(60'000'000'000);

    const std::string text = registry.expose(kBegin);

    EXPECT_NE(text.find("# TYPE kvstore_wait_seconds histogram\n"), std::string::npos);
    EXPECT_NE(text.find("kvstore_wait_seconds_bucket{core=\"0\",le=\"0.0005\"} 0\n"),
              std::string::npos);
    EXPECT_NE(text.find("kvstore_wait_seconds_bucket{core=\"0\",le=\"0.001\"} 2\n"),
              std::string::npos);
    EXPECT_NE(text.find("kvstore_wait_seconds_bucket{core=\"0\",le=\"10\"} 2\n"),
              std::string::npos);
    EXPECT_NE(text.find("kvstore_wait_seconds_bucket{core=\"0\",le=\"+Inf\"} 3\n"),
              std::string::npos);
    EXPECT_NE(text.find("kvstore_wait_seconds_sum{core=\"0\"} 60.002\n"), std::string::npos);
    EXPECT_NE(text.find("kvstore_wait_seconds_count{core=\"0\"} 3\n"), std::string::npos);
}

TEST(Registry, ShowsSummariesWithTheQuantilesThatArePromised) {
    Registry registry;
    Histogram& histogram = registry.add_histogram("kvstore_request_duration_seconds",
                                                  "Requests.",
                                                  {},
                                                  Unit::kNanoseconds,
                                                  HistogramForm::kSummary);
    for (std::uint64_t i = 1; i <= 16; ++i) {
        histogram.record(i);
    }

    const std::string text = registry.expose(kBegin);

    EXPECT_NE(text.find("# TYPE kvstore_request_duration_seconds summary\n"), std::string::npos);
    EXPECT_NE(text.find("kvstore_request_duration_seconds{quantile=\"0.5\"} 8e-09\n"),
              std::string::npos);
    EXPECT_NE(text.find("kvstore_request_duration_seconds{quantile=\"0.95\"} 1.6e-08\n"),
              std::string::npos);
    EXPECT_NE(text.find("kvstore_request_duration_seconds_count 16\n"), std::string::npos);
}

TEST(Registry, ForgetsOldValuesInQuantilesButNotInCounts) {
    Registry registry;
    Histogram& histogram = registry.add_histogram(
        "kvstore_wait_seconds", "Waits.", {}, Unit::kNanoseconds, HistogramForm::kSummary);
    histogram.record(5'000'000'000);
    (void)registry.expose(kBegin);
    (void)registry.expose(kBegin + Registry::kSummaryWindow);
    histogram.record(10);

    const std::string text = registry.expose(kBegin + 2 * Registry::kSummaryWindow);

    EXPECT_NE(text.find("kvstore_wait_seconds{quantile=\"0.99\"} 1e-08\n"), std::string::npos)
        << text;
    EXPECT_NE(text.find("kvstore_wait_seconds_count 2\n"), std::string::npos);
}

TEST(Registry, ShowsNaNForQuantilesOfNothing) {
    Registry registry;
    registry.add_histogram(
        "kvstore_wait_seconds", "Waits.", {}, Unit::kNanoseconds, HistogramForm::kSummary);

    EXPECT_NE(registry.expose(kBegin).find("kvstore_wait_seconds{quantile=\"0.5\"} NaN\n"),
              std::string::npos);
}

TEST(Registry, AsksCallbacksWhenItIsAskedAndForgetsThemWithTheirRegistration) {
    Registry registry;
    double level = 1.5;
    {
        const Registration registration =
            registry.add_gauge_callback("kvstore_level", "Level.", {}, [&level] { return level; });
        EXPECT_NE(registry.expose(kBegin).find("kvstore_level 1.5\n"), std::string::npos);
        level = 2;
        EXPECT_NE(registry.expose(kBegin).find("kvstore_level 2\n"), std::string::npos);
    }

    EXPECT_EQ(registry.expose(kBegin), "");
}

TEST(Registry, KeepsAMovedRegistration) {
    Registry registry;
    Registration kept;
    {
        Registration first =
            registry.add_counter_callback("kvstore_a_total", "A.", {}, [] { return 1.0; });
        kept = std::move(first);
    }

    EXPECT_NE(registry.expose(kBegin).find("kvstore_a_total 1\n"), std::string::npos);
}

TEST(RegistryDeathTest, RefusesWhatPrometheusWouldRefuse) {
    Registry registry;
    registry.add_gauge("kvstore_a", "A.");

    EXPECT_DEATH(registry.add_gauge("kvstore-a", "A."), "is_name");
    EXPECT_DEATH(registry.add_counter("kvstore_hits", "Hits."), "_total");
    EXPECT_DEATH(registry.add_counter("kvstore_a", "A."), "type");
    EXPECT_DEATH(registry.add_gauge("kvstore_a", "Another text."), "help");
    EXPECT_DEATH(registry.add_gauge("kvstore_b", "B.", {{"le", "1"}}), "le");
    EXPECT_DEATH(registry.add_gauge("kvstore_b", "B.", {{"0", "1"}}), "is_name");
}

// Cores record and register while another thread shows everything; run under tsan.
TEST(Registry, IsReadWhileCoresRecord) {
    Registry registry;
    constexpr std::uint64_t kEach = 20'000;
    Counter& shared = registry.add_counter("kvstore_shared_total", "Shared.");
    std::vector<std::thread> cores;
    for (int core = 0; core < 3; ++core) {
        cores.emplace_back([&registry, &shared] {
            Counter& mine = registry.add_counter("kvstore_mine_total", "Mine.");
            Histogram& times =
                registry.add_histogram("kvstore_times_seconds", "Times.", {}, Unit::kNanoseconds);
            for (std::uint64_t i = 0; i < kEach; ++i) {
                mine.add();
                times.record(i);
                shared.add_from_any_thread();
            }
        });
    }
    for (int i = 0; i < 20; ++i) {
        (void)registry.expose(kBegin);
    }
    for (std::thread& core : cores) {
        core.join();
    }

    EXPECT_EQ(registry.value("kvstore_mine_total"), 3.0 * kEach);
    EXPECT_EQ(registry.value("kvstore_shared_total"), 3.0 * kEach);
    EXPECT_NE(registry.expose(kBegin).find("kvstore_times_seconds_count 60000\n"),
              std::string::npos);
}

}  // namespace
}  // namespace kvstore::metrics

#include "cli/simulate_process.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/output.h"

namespace kvstore::cli {
namespace {

// Below what a pipe holds, so that a child never waits for its parent.
constexpr std::size_t kViolationBytesMax = 32U << 10U;

using Numbers = std::array<std::uint64_t, 12 + simulation::kFaultKinds>;

Bytes encode(const simulation::Report& report) {
    Numbers numbers{report.trace_hash,
                    report.nodes,
                    static_cast<std::uint64_t>(report.virtual_time.count()),
                    report.operations_ok,
                    report.operations_failed,
                    report.operations_unknown,
                    report.elections,
                    report.starts,
                    report.refused_starts,
                    report.digests_compared,
                    report.keys_undecided,
                    static_cast<std::uint64_t>(report.longest_recovery.count())};
    std::copy(report.faults.begin(), report.faults.end(), numbers.begin() + 12);
    Bytes bytes(sizeof numbers, '\0');
    std::memcpy(bytes.data(), numbers.data(), sizeof numbers);
    return bytes + report.violation.substr(0, kViolationBytesMax);
}

simulation::Report decode(ByteView bytes) {
    Numbers numbers{};
    std::memcpy(numbers.data(), bytes.data(), sizeof numbers);
    simulation::Report report;
    report.trace_hash = numbers[0];
    report.nodes = static_cast<std::uint32_t>(numbers[1]);
    report.virtual_time = Duration(static_cast<Duration::rep>(numbers[2]));
    report.operations_ok = numbers[3];
    report.operations_failed = numbers[4];
    report.operations_unknown = numbers[5];
    report.elections = numbers[6];
    report.starts = numbers[7];
    report.refused_starts = numbers[8];
    report.digests_compared = numbers[9];
    report.keys_undecided = numbers[10];
    report.longest_recovery = Duration(static_cast<Duration::rep>(numbers[11]));
    std::copy(numbers.begin() + 12, numbers.end(), report.faults.begin());
    report.violation = bytes.substr(sizeof numbers);
    return report;
}

void show(Duration done, Duration total) {
    const auto seconds = [](Duration span) {
        return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(span).count());
    };
    write_error("\r" + seconds(done) + " s of " + seconds(total) + " s\x1b[K");
}

simulation::Report run_seed(std::uint64_t seed,
                            const simulation::Options& options,
                            SeedRuns runs,
                            bool shows_progress) {
    simulation::Progress progress;
    if (shows_progress) {
        progress = [](Duration done, Duration total) {
            show(done, total);
        };
    }
    simulation::Report report = simulation::run(seed, options, std::move(progress));
    if (shows_progress) {
        write_error("\r\x1b[K");
    }
    if (runs == SeedRuns::kTwice && report.violation.empty() &&
        simulation::run(seed, options).trace_hash != report.trace_hash) {
        report.violation = "the same seed gave another trace";
    }
    return report;
}

}  // namespace

Result<SeedProcess> start_seed(std::uint64_t seed,
                               const simulation::Options& options,
                               SeedRuns runs,
                               bool shows_progress) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) {
        return Status(Code::kUnavailable, "no pipe to another process");
    }
    const pid_t pid = ::fork();
    if (pid < 0) {
        ::close(ends[0]);
        ::close(ends[1]);
        return Status(Code::kUnavailable, "no room for another process");
    }
    if (pid == 0) {
        ::close(ends[0]);
        const Bytes report = encode(run_seed(seed, options, runs, shows_progress));
        const bool is_told =
            ::write(ends[1], report.data(), report.size()) == static_cast<ssize_t>(report.size());
        // Nothing that a crash left behind is destroyed.
        std::_Exit(is_told ? 0 : 1);
    }
    ::close(ends[1]);
    return SeedProcess{.pid = pid, .pipe = ends[0], .seed = seed};
}

pid_t wait_any_child(int* status) {
    return ::waitpid(-1, status, 0);
}

simulation::Report take_report(const SeedProcess& process, int status) {
    Bytes bytes;
    std::array<char, 4'096> buffer{};
    for (ssize_t size = 0; (size = ::read(process.pipe, buffer.data(), buffer.size())) > 0;) {
        bytes.append(buffer.data(), static_cast<std::size_t>(size));
    }
    ::close(process.pipe);
    if (bytes.size() >= sizeof(Numbers)) {
        return decode(bytes);
    }
    simulation::Report report;
    report.violation = WIFSIGNALED(status)
                           ? "the process ended by signal " + std::to_string(WTERMSIG(status)) +
                                 "; stderr has its last words"
                           : "the process ended without a report";
    return report;
}

}  // namespace kvstore::cli

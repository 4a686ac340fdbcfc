// A line on stderr that says how far long work is; silent where stderr is no terminal.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace kvstore::cli {

struct Progress {
    std::uint64_t item_count = 0;
    std::uint64_t byte_count = 0;
    std::uint64_t bytes_total = 0;  // 0: unknown
    Duration elapsed{};
};

// "[####    ] 50%  12,345 keys  2.1 MiB  6,172 keys/s".
[[nodiscard]] std::string progress_text(const Progress& progress);

// "1234567" as "1,234,567".
[[nodiscard]] std::string with_thousands(std::uint64_t number);

// Lifetime  On the stack of a command.
class ProgressBar {
public:
    explicit ProgressBar(MonotonicTime start);
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;
    // Ends the line.
    ~ProgressBar();

    // Redraws at most ten times a second.
    void show(MonotonicTime now, Progress progress);

private:
    MonotonicTime start_;
    MonotonicTime drawn_;
    bool is_terminal_;
    bool has_drawn_ = false;
};

[[nodiscard]] bool is_error_terminal();
[[nodiscard]] bool is_input_terminal();

}  // namespace kvstore::cli

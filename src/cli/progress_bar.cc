#include "cli/progress_bar.h"

#include <algorithm>

#include <unistd.h>

#include "base/parse.h"
#include "cli/output.h"

namespace kvstore::cli {
namespace {

constexpr std::size_t kBarWidth = 20;
constexpr Duration kRedraw = std::chrono::milliseconds(100);

std::string bar(std::uint64_t done, std::uint64_t total) {
    const std::uint64_t percent = std::min<std::uint64_t>(100, done * 100 / total);
    std::string text = "[";
    const std::size_t filled = static_cast<std::size_t>(percent) * kBarWidth / 100;
    text.append(filled, '#');
    text.append(kBarWidth - filled, ' ');
    return text + "] " + std::to_string(percent) + "%  ";
}

}  // namespace

bool is_error_terminal() {
    return ::isatty(STDERR_FILENO) == 1;
}

bool is_input_terminal() {
    return ::isatty(STDIN_FILENO) == 1;
}

std::string with_thousands(std::uint64_t number) {
    std::string text = std::to_string(number);
    for (std::size_t left = text.size(); left > 3;) {
        left -= 3;
        text.insert(left, 1, ',');
    }
    return text;
}

std::string progress_text(const Progress& progress) {
    std::string text;
    if (progress.bytes_total > 0) {
        text += bar(progress.byte_count, progress.bytes_total);
    }
    text += with_thousands(progress.item_count) + " keys  " + format_size(progress.byte_count);
    const auto ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(progress.elapsed).count());
    if (ms > 0) {
        text += "  " + with_thousands(progress.item_count * 1000 / ms) + " keys/s";
    }
    return text;
}

ProgressBar::ProgressBar(MonotonicTime start)
    : start_(start), drawn_(start), is_terminal_(is_error_terminal()) {}

ProgressBar::~ProgressBar() {
    if (has_drawn_) {
        write_error("\n");
    }
}

void ProgressBar::show(MonotonicTime now, Progress progress) {
    if (!is_terminal_ || (has_drawn_ && now - drawn_ < kRedraw)) {
        return;
    }
    drawn_ = now;
    has_drawn_ = true;
    progress.elapsed = now - start_;
    // To the line's begin, and away with what stands behind the new text.
    write_error("\r" + progress_text(progress) + "\x1b[K");
}

}  // namespace kvstore::cli

// A line at a prompt, with history and completion (libedit).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvstore::cli {

// Lifetime  One a process: libedit keeps its state in globals.
// Runs on   One thread; blocks.
class LineEditor {
public:
    // `names` are completed as the first word; they live for ever. History is kept in
    // ~/.kvstore_history.
    explicit LineEditor(std::vector<std::string_view> names);
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;
    ~LineEditor();

    // Nullopt at the end (Ctrl-D).
    [[nodiscard]] std::optional<std::string> read();

private:
    std::string history_file_;
};

}  // namespace kvstore::cli

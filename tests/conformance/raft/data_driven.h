// Reads scripts of the form
//
//     command arg key=value key=(a,b)
//     input
//     ----
//     expected output
//
// separated by blank lines; '#' begins a comment.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace kvstore::raft::conformance {

struct Argument {
    std::string key;
    std::vector<std::string> values;
};

struct Directive {
    std::size_t line = 0;
    std::string command;
    std::vector<Argument> arguments;
    std::string input;
    std::string expected;

    [[nodiscard]] const Argument* find(const std::string& key) const;
    // The bare numbers among the arguments.
    [[nodiscard]] std::vector<std::uint64_t> numbers() const;
};

// A directive from its line alone.
[[nodiscard]] Directive parse_directive(const std::string& line, const std::string& input);

[[nodiscard]] std::vector<Directive> read_script(const std::string& path);

// Without the lines that a logger wrote, and with "ok" for nothing.
[[nodiscard]] std::string without_log_lines(const std::string& text);

[[nodiscard]] std::vector<std::string> split_lines(const std::string& text);

}  // namespace kvstore::raft::conformance

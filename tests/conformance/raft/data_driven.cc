#include "data_driven.h"

#include <algorithm>
#include <cctype>
#include <fstream>

namespace kvstore::raft::conformance {

namespace {

bool is_blank(const std::string& line) {
    return std::all_of(
        line.begin(), line.end(), [](unsigned char c) { return std::isspace(c) != 0; });
}

std::string trimmed(const std::string& text) {
    std::size_t from = 0;
    std::size_t to = text.size();
    while (from < to && std::isspace(static_cast<unsigned char>(text[from])) != 0) {
        ++from;
    }
    while (to > from && std::isspace(static_cast<unsigned char>(text[to - 1])) != 0) {
        --to;
    }
    return text.substr(from, to - from);
}

// Blanks within parentheses do not separate.
std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> words;
    std::string word;
    int depth = 0;
    for (const char c : line) {
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (c == ' ' && depth == 0) {
            if (!word.empty()) {
                words.push_back(word);
            }
            word.clear();
        } else {
            word.push_back(c);
        }
    }
    if (!word.empty()) {
        words.push_back(word);
    }
    return words;
}

Argument parse_argument(const std::string& word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) {
        return {word, {}};
    }
    Argument argument{word.substr(0, equals), {}};
    std::string values = word.substr(equals + 1);
    if (!values.empty() && values.front() == '(') {
        values = values.substr(1, values.size() - 2);
    }
    std::string value;
    for (const char c : values + ",") {
        if (c == ',' || c == ' ') {
            if (!value.empty()) {
                argument.values.push_back(value);
            }
            value.clear();
        } else {
            value.push_back(c);
        }
    }
    return argument;
}

}  // namespace

const Argument* Directive::find(const std::string& key) const {
    for (const Argument& argument : arguments) {
        if (argument.key == key) {
            return &argument;
        }
    }
    return nullptr;
}

std::vector<std::uint64_t> Directive::numbers() const {
    std::vector<std::uint64_t> found;
    for (const Argument& argument : arguments) {
        if (argument.values.empty() &&
            std::isdigit(static_cast<unsigned char>(argument.key[0])) != 0) {
            found.push_back(std::stoull(argument.key));
        }
    }
    return found;
}

std::vector<std::string> split_lines(const std::string& text) {
    std::vector<std::string> lines;
    std::string line;
    for (const char c : text) {
        if (c == '\n') {
            lines.push_back(line);
            line.clear();
        } else {
            line.push_back(c);
        }
    }
    if (!line.empty()) {
        lines.push_back(line);
    }
    return lines;
}

Directive parse_directive(const std::string& line, const std::string& input) {
    Directive directive;
    const std::vector<std::string> words = words_of(line);
    directive.command = words.front();
    for (std::size_t i = 1; i < words.size(); ++i) {
        directive.arguments.push_back(parse_argument(words[i]));
    }
    directive.input = trimmed(input);
    return directive;
}

std::vector<Directive> read_script(const std::string& path) {
    std::ifstream file(path);
    std::vector<Directive> directives;
    std::string line;
    std::size_t number = 0;
    while (std::getline(file, line)) {
        ++number;
        if (is_blank(line) || line[0] == '#') {
            continue;
        }
        Directive directive = parse_directive(line, "");
        directive.line = number;
        while (std::getline(file, line) && line != "----") {
            ++number;
            directive.input += line + "\n";
        }
        ++number;
        directive.input = trimmed(directive.input);
        while (std::getline(file, line) && !is_blank(line)) {
            ++number;
            directive.expected += line + "\n";
        }
        ++number;
        directives.push_back(std::move(directive));
    }
    return directives;
}

std::string without_log_lines(const std::string& text) {
    std::string kept;
    for (const std::string& line : split_lines(text)) {
        const std::string bare = trimmed(line);
        const bool logged = bare.starts_with("INFO ") || bare.starts_with("DEBUG ") ||
                            bare.starts_with("WARN ") || bare.starts_with("ERROR ");
        if (!logged) {
            kept += line + "\n";
        }
    }
    return kept.empty() ? "ok\n" : kept;
}

}  // namespace kvstore::raft::conformance

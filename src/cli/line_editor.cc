#include "cli/line_editor.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <editline/readline.h>

namespace kvstore::cli {
namespace {

constexpr int kHistoryMax = 1000;

// libedit's callbacks carry no context.
std::vector<std::string_view>& completions() {
    static std::vector<std::string_view> names;
    return names;
}

bool begins_with(std::string_view name, std::string_view text) {
    if (text.size() > name.size()) {
        return false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if ((c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) != name[i]) {
            return false;
        }
    }
    return true;
}

// The next name that begins with `text`; `is_next` is 0 for the first call.
char* next_completion(const char* text, int is_next) {
    static std::size_t at = 0;
    at = is_next == 0 ? 0 : at;
    while (at < completions().size()) {
        const std::string_view name = completions()[at++];
        if (begins_with(name, text)) {
            return ::strndup(name.data(), name.size());
        }
    }
    return nullptr;
}

char** complete(const char* text, int start, int /*end*/) {
    rl_attempted_completion_over = 1;
    return start == 0 ? rl_completion_matches(text, next_completion) : nullptr;
}

}  // namespace

LineEditor::LineEditor(std::vector<std::string_view> names) {
    completions() = std::move(names);
    rl_attempted_completion_function = complete;
    using_history();
    stifle_history(kHistoryMax);
    const char* home = std::getenv("HOME");
    if (home != nullptr && *home != '\0') {
        history_file_ = std::string(home) + "/.kvstore_history";
        (void)read_history(history_file_.c_str());
    }
}

LineEditor::~LineEditor() {
    if (!history_file_.empty()) {
        (void)write_history(history_file_.c_str());
    }
}

std::optional<std::string> LineEditor::read() {
    char* line = readline("kvstore> ");
    if (line == nullptr) {
        return std::nullopt;
    }
    std::string text(line);
    std::free(line);  // NOLINT(cppcoreguidelines-no-malloc): readline() allocated it
    if (!text.empty()) {
        (void)add_history(text.c_str());
    }
    return text;
}

}  // namespace kvstore::cli

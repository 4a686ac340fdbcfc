#include "cli/shell.h"

namespace kvstore::cli {
namespace {

char escaped(char c) {
    switch (c) {
        case 'n': return '\n';
        case 't': return '\t';
        case 'r': return '\r';
        default: return c;
    }
}

}  // namespace

Result<std::vector<std::string>> split_words(std::string_view line) {
    std::vector<std::string> words;
    std::optional<std::string> word;
    char quote = '\0';
    for (std::size_t at = 0; at < line.size(); ++at) {
        const char c = line[at];
        const bool is_blank = c == ' ' || c == '\t' || c == '\r';
        if (quote == '\0' && is_blank) {
            if (word) {
                words.push_back(*std::move(word));
                word.reset();
            }
            continue;
        }
        if (!word) {
            word.emplace();
        }
        if (c == '\\' && quote != '\'' && at + 1 < line.size()) {
            *word += escaped(line[++at]);
        } else if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == quote) {
            quote = '\0';
        } else {
            *word += c;
        }
    }
    if (quote != '\0') {
        return Status(Code::kInvalidArgument, "a quote does not end");
    }
    if (word) {
        words.push_back(*std::move(word));
    }
    return words;
}

}  // namespace kvstore::cli

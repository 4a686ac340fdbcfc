#include "frontend/resp/glob.h"

#include <cstddef>
#include <utility>

namespace kvstore::resp {
namespace {

// What stands at one place of a pattern and is no star.
struct Element {
    bool matches = false;
    std::size_t size = 1;  // in the pattern
};

// "[...]"; one that is not closed ends with the pattern.
Element match_class(ByteView pattern, char c) {
    std::size_t at = 1;
    const bool is_inverted = at < pattern.size() && pattern[at] == '^';
    at += is_inverted ? 1U : 0U;
    bool matches = false;
    for (; at < pattern.size() && pattern[at] != ']'; ++at) {
        if (pattern[at] == '\\' && at + 1 < pattern.size()) {
            ++at;
            matches = matches || pattern[at] == c;
        } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
            auto low = static_cast<unsigned char>(pattern[at]);
            auto high = static_cast<unsigned char>(pattern[at + 2]);
            if (low > high) {
                std::swap(low, high);
            }
            const auto byte = static_cast<unsigned char>(c);
            matches = matches || (byte >= low && byte <= high);
            at += 2;
        } else {
            matches = matches || pattern[at] == c;
        }
    }
    const std::size_t size = at < pattern.size() ? at + 1 : at;
    return {.matches = matches != is_inverted, .size = size};
}

Element match_one(ByteView pattern, char c) {
    switch (pattern.front()) {
        case '?': return {.matches = true, .size = 1};
        case '[': return match_class(pattern, c);
        case '\\':
            if (pattern.size() > 1) {
                return {.matches = pattern[1] == c, .size = 2};
            }
            [[fallthrough]];
        default: return {.matches = pattern.front() == c, .size = 1};
    }
}

}  // namespace

// A star first takes nothing; when what is behind it fails, it takes one byte more. Only the last
// star seen needs that: whatever an earlier one could still take, the last one can take as well.
bool glob_matches(ByteView pattern, ByteView text) {
    std::size_t at = 0;
    std::size_t in_text = 0;
    std::size_t behind_star = ByteView::npos;
    std::size_t taken_to = 0;
    while (in_text < text.size()) {
        if (at < pattern.size() && pattern[at] == '*') {
            behind_star = ++at;
            taken_to = in_text;
            continue;
        }
        if (at < pattern.size()) {
            const Element element = match_one(pattern.substr(at), text[in_text]);
            if (element.matches) {
                at += element.size;
                ++in_text;
                continue;
            }
        }
        if (behind_star == ByteView::npos) {
            return false;
        }
        at = behind_star;
        in_text = ++taken_to;
    }
    while (at < pattern.size() && pattern[at] == '*') {
        ++at;
    }
    return at == pattern.size();
}

Bytes glob_prefix(ByteView pattern) {
    Bytes prefix;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        const char c = pattern[at];
        if (c == '*' || c == '?' || c == '[') {
            break;
        }
        if (c == '\\' && at + 1 < pattern.size()) {
            ++at;
        }
        prefix.push_back(pattern[at]);
    }
    return prefix;
}

}  // namespace kvstore::resp

#include "history/testing/script.h"

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/parse.h"

namespace kvstore::history::testing {
namespace {

using Words = std::vector<std::string>;

Words split(const std::string& line) {
    std::istringstream words(line.substr(0, line.find('#')));
    Words split;
    for (std::string word; words >> word;) {
        split.push_back(std::move(word));
    }
    return split;
}

std::int64_t number(const std::string& word) {
    const auto parsed = parse_int64(word);
    KVSTORE_ASSERT(parsed.has_value());
    return *parsed;
}

MaybeValue value(const std::string& word) {
    return word == "-" ? MaybeValue() : MaybeValue(word);
}

MonotonicTime moment(const std::string& word) {
    return MonotonicTime(Duration(number(word)));
}

// Takes `name=...` words out.
void read_settings(Words& words, Operation& operation) {
    std::erase_if(words, [&operation](const std::string& word) {
        const std::size_t at = word.find('=');
        if (at == std::string::npos) {
            return false;
        }
        const std::string name = word.substr(0, at);
        const std::string setting = word.substr(at + 1);
        if (name == "key") {
            operation.key = setting;
        } else if (name == "revision") {
            operation.revision = Revision(static_cast<std::uint64_t>(number(setting)));
        } else if (name == "expires") {
            const std::size_t dots = setting.find("..");
            KVSTORE_ASSERT(dots != std::string::npos);
            operation.expiry.emplace();
            operation.expiry->earliest = moment(setting.substr(0, dots));
            if (dots + 2 < setting.size()) {
                operation.expiry->latest = moment(setting.substr(dots + 2));
            }
        } else {
            KVSTORE_ASSERT(name == "level");
            operation.consistency = find_consistency(setting);
            KVSTORE_ASSERT(operation.consistency.has_value());
        }
        return true;
    });
}

void read_answer(Words& words, Operation& operation) {
    const std::size_t size = words.size();
    if (size < 2 || words[size - 2] != "->") {
        return;
    }
    const std::string answer = words.back();
    words.resize(size - 2);
    if (words[3] == "cas") {
        operation.is_matched = answer == "yes";
    } else if (words[3] == "inc" || words[3] == "append" || words[3] == "delete") {
        operation.number = number(answer);
    } else {
        operation.observed = value(answer);
    }
}

Operation parse_line(Words words) {
    Operation operation;
    operation.key = "k";
    read_settings(words, operation);
    KVSTORE_ASSERT(words.size() >= 4);
    read_answer(words, operation);
    operation.client = ClientId(static_cast<std::uint64_t>(number(words[0])));
    operation.called = moment(words[1]);
    operation.returned = operation.called;
    operation.outcome = words[2] == "?"   ? Outcome::kUnknown
                        : words[2] == "x" ? Outcome::kFailed
                                          : Outcome::kOk;
    if (operation.outcome == Outcome::kOk) {
        operation.returned = moment(words[2]);
    }
    const std::string& kind = words[3];
    if (kind == "cas") {
        operation.kind = OperationKind::kCompareAndSet;
        operation.expected = value(words.at(4));
        operation.argument = value(words.at(5));
    } else if (kind == "inc") {
        operation.kind = OperationKind::kIncrement;
        operation.delta = number(words.at(4));
    } else {
        const auto found = find_kind(kind);
        KVSTORE_ASSERT(found.has_value());
        operation.kind = *found;
        if (words.size() > 4) {
            operation.argument = value(words[4]);
        }
    }
    KVSTORE_ASSERT(check_operation(operation).ok());
    return operation;
}

}  // namespace

History parse_script(std::string_view script) {
    History history;
    std::istringstream lines{std::string(script)};
    for (std::string line; std::getline(lines, line);) {
        Words words = split(line);
        if (!words.empty()) {
            history.push_back(parse_line(std::move(words)));
        }
    }
    return history;
}

}  // namespace kvstore::history::testing

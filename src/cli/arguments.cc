#include "cli/arguments.h"

#include <algorithm>

#include "base/parse.h"

namespace kvstore::cli {
namespace {

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

std::string spelled(std::string_view name) {
    return (name.size() == 1 ? "-" : "--") + std::string(name);
}

bool is_flag(std::string_view argument) {
    return argument.size() > 1 && argument[0] == '-' && !parse_int64(argument).has_value();
}

Status unknown_flag(std::span<const FlagSpec> flags, const std::string& name) {
    std::vector<std::string_view> names;
    for (const FlagSpec& flag : flags) {
        names.push_back(flag.name);
    }
    const std::string_view near = nearest_spelling(name, names);
    return invalid(
        "unknown flag " + spelled(name) +
        (near.empty() ? "; --help lists the flags" : "; did you mean " + spelled(near) + "?"));
}

}  // namespace

std::optional<std::string> Arguments::value(std::string_view flag) const {
    for (auto at = flags_.rbegin(); at != flags_.rend(); ++at) {
        if (at->first == flag) {
            return at->second;
        }
    }
    return std::nullopt;
}

Result<Arguments> parse_arguments(std::span<const FlagSpec> flags,
                                  const std::vector<std::string>& arguments) {
    Arguments parsed;
    bool flags_ended = false;
    for (std::size_t at = 0; at < arguments.size(); ++at) {
        const std::string& argument = arguments[at];
        if (flags_ended || !is_flag(argument)) {
            parsed.words_.push_back(argument);
            continue;
        }
        if (argument == "--") {
            flags_ended = true;
            continue;
        }
        const std::size_t equals = argument.find('=');
        const std::size_t dashes = argument.starts_with("--") ? 2 : 1;
        const std::string name = argument.substr(dashes, equals - dashes);
        const auto* const known = std::ranges::find(flags, name, &FlagSpec::name).base();
        if (known == flags.data() + flags.size()) {
            return unknown_flag(flags, name);
        }
        std::string value;
        if (equals != std::string::npos) {
            if (known->value.empty()) {
                return invalid(spelled(name) + " takes no value");
            }
            value = argument.substr(equals + 1);
        } else if (!known->value.empty()) {
            if (at + 1 == arguments.size()) {
                return invalid(spelled(name) + " needs a value: " + spelled(name) + " " +
                               std::string(known->value));
            }
            value = arguments[++at];
        }
        parsed.flags_.emplace_back(name, std::move(value));
    }
    return parsed;
}

std::string flags_help(std::span<const FlagSpec> flags) {
    std::string text;
    for (const FlagSpec& flag : flags) {
        std::string line = "  " + spelled(flag.name);
        line += flag.value.empty() ? "" : " " + std::string(flag.value);
        line.resize(std::max<std::size_t>(line.size() + 2, 30), ' ');
        text += line + std::string(flag.help) + "\n";
    }
    return text;
}

Result<std::uint64_t> number_flag(const Arguments& arguments,
                                  std::string_view name,
                                  std::uint64_t fallback) {
    const auto text = arguments.value(name);
    if (!text) {
        return fallback;
    }
    const auto number = parse_uint64(*text);
    if (!number) {
        return invalid(spelled(name) + " must be a whole number, not '" + *text + "'");
    }
    return *number;
}

}  // namespace kvstore::cli

// Command lines: flags and what stands between them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace kvstore::cli {

struct FlagSpec {
    std::string_view name;   // "prefix": --prefix; a single letter: -e
    std::string_view value;  // what the value is called in help; empty: the flag takes none
    std::string_view help;
};

class Arguments {
public:
    [[nodiscard]] bool has(std::string_view flag) const { return value(flag).has_value(); }
    // The last one given; empty for a flag without a value.
    [[nodiscard]] std::optional<std::string> value(std::string_view flag) const;
    [[nodiscard]] const std::vector<std::string>& words() const { return words_; }

private:
    friend Result<Arguments> parse_arguments(std::span<const FlagSpec> flags,
                                             const std::vector<std::string>& arguments);

    std::vector<std::pair<std::string, std::string>> flags_;
    std::vector<std::string> words_;
};

// Flags may stand anywhere before "--", with one dash or two, "--name value" or "--name=value".
// "-" alone and negative numbers are words.
// Errors: kInvalidArgument: unknown flag with the nearest known one, a value missing or too many.
Result<Arguments> parse_arguments(std::span<const FlagSpec> flags,
                                  const std::vector<std::string>& arguments);

// One line a flag, for --help.
[[nodiscard]] std::string flags_help(std::span<const FlagSpec> flags);

// The whole number that flag `name` holds, `fallback` when it was not given.
// Errors: kInvalidArgument.
Result<std::uint64_t> number_flag(const Arguments& arguments,
                                  std::string_view name,
                                  std::uint64_t fallback);

}  // namespace kvstore::cli

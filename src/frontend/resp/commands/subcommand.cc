#include <cctype>
#include <string>

#include "frontend/resp/internal/commands.h"

namespace kvstore::resp {
namespace {

constexpr std::size_t kShownBytesMax = 128;

std::string upper_case(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return result;
}

}  // namespace

Outcome unknown_subcommand(Call& call) {
    return call.fail("ERR unknown subcommand '" + std::string(call[1].substr(0, kShownBytesMax)) +
                     "'. Try " + upper_case(call.name()) + " HELP.");
}

Outcome run_subcommand(Call& call, std::span<const Subcommand> subcommands) {
    for (const Subcommand& subcommand : subcommands) {
        if (!equals_ignoring_case(call[1], subcommand.name)) {
            continue;
        }
        const bool suits = subcommand.arity >= 0
                               ? call.size() == static_cast<std::size_t>(subcommand.arity)
                               : call.size() >= static_cast<std::size_t>(-subcommand.arity);
        if (!suits) {
            return call.fail("ERR wrong number of arguments for '" + std::string(call.name()) +
                             "|" + std::string(subcommand.name) + "' command");
        }
        return subcommand.handler(call);
    }
    return unknown_subcommand(call);
}

}  // namespace kvstore::resp

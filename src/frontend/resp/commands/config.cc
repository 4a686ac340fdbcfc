// CONFIG: parameters by name.
#include <array>
#include <set>
#include <string>
#include <vector>

#include "frontend/resp/glob.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"

namespace kvstore::resp {
namespace {

Outcome config_get(Call& call) {
    std::vector<std::string> patterns;
    for (std::size_t at = 2; at < call.size(); ++at) {
        patterns.push_back(lower_case(call[at]));
    }
    std::vector<std::pair<std::string_view, std::string_view>> found;
    for (const auto& [name, value] : call.core().configuration().all()) {
        for (const std::string& pattern : patterns) {
            if (glob_matches(pattern, name)) {
                found.emplace_back(name, value);
                break;
            }
        }
    }
    call.reply().map(found.size());
    for (const auto& [name, value] : found) {
        call.reply().bulk(name);
        call.reply().bulk(value);
    }
    return Outcome::kReplied;
}

Outcome fail_to_set(Call& call, const std::string& name, std::string_view why) {
    return call.fail("ERR CONFIG SET failed (possibly related to argument '" + name + "') - " +
                     std::string(why));
}

// All or nothing.
Outcome config_set(Call& call) {
    if (call.size() % 2 != 0) {
        return call.fail("ERR wrong number of arguments for 'config|set' command");
    }
    std::set<std::string> names;
    for (std::size_t at = 2; at < call.size(); at += 2) {
        const std::string name = lower_case(call[at]);
        if (!Configuration::is_known(name)) {
            return call.fail("ERR Unknown option or number of arguments for CONFIG SET - '" +
                             std::string(call[at]) + "'");
        }
        if (!names.insert(name).second) {
            return fail_to_set(call, name, "duplicate parameter");
        }
        const std::string_view why = Configuration::refusal(name, call[at + 1]);
        if (!why.empty()) {
            return fail_to_set(call, name, why);
        }
    }
    for (std::size_t at = 2; at < call.size(); at += 2) {
        call.core().configuration().set(lower_case(call[at]), call[at + 1]);
    }
    return call.ok();
}

Outcome config_resetstat(Call& call) {
    call.core().reset_statistics();
    return call.ok();
}

Outcome config_rewrite(Call& call) {
    return call.fail("ERR The server is running without a config file");
}

constexpr auto kSubcommands = std::to_array<Subcommand>({
    {"get", -3, config_get},
    {"resetstat", 2, config_resetstat},
    {"rewrite", 2, config_rewrite},
    {"set", -4, config_set},
});

}  // namespace

Outcome config_command(Call& call) {
    return run_subcommand(call, kSubcommands);
}

}  // namespace kvstore::resp

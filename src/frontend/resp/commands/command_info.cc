// COMMAND: what the table says of each command.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/resp/glob.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"

namespace kvstore::resp {
namespace {

struct FlagName {
    CommandFlags flag;
    std::string_view name;
};

constexpr auto kFlagNames = std::to_array<FlagName>({
    {kFlagWrite, "write"},
    {kFlagReadonly, "readonly"},
    {kFlagDenyOom, "denyoom"},
    {kFlagAdmin, "admin"},
    {kFlagNoscript, "noscript"},
    {kFlagLoading, "loading"},
    {kFlagStale, "stale"},
    {kFlagFast, "fast"},
    {kFlagNoAuth, "no_auth"},
    {kFlagNoMulti, "no_multi"},
    {kFlagAllowBusy, "allow_busy"},
});

std::string_view group_name(CommandGroup group) {
    switch (group) {
        case CommandGroup::kString: return "string";
        case CommandGroup::kGeneric: return "generic";
        case CommandGroup::kConnection: return "connection";
        case CommandGroup::kTransactions: return "transactions";
        case CommandGroup::kServer: return "server";
        case CommandGroup::kCluster: return "cluster";
    }
    return "generic";
}

std::vector<std::string_view> categories(const CommandSpec& spec) {
    std::vector<std::string_view> names;
    if ((spec.flags & kFlagWrite) != 0) {
        names.emplace_back("@write");
    }
    if ((spec.flags & kFlagReadonly) != 0) {
        names.emplace_back("@read");
    }
    switch (spec.group) {
        case CommandGroup::kString: names.emplace_back("@string"); break;
        case CommandGroup::kGeneric: names.emplace_back("@keyspace"); break;
        case CommandGroup::kConnection:
        case CommandGroup::kCluster: names.emplace_back("@connection"); break;
        case CommandGroup::kTransactions: names.emplace_back("@transaction"); break;
        case CommandGroup::kServer: break;
    }
    if ((spec.flags & kFlagAdmin) != 0) {
        names.emplace_back("@admin");
        names.emplace_back("@dangerous");
    }
    names.emplace_back((spec.flags & kFlagFast) != 0 ? "@fast" : "@slow");
    return names;
}

void reply_key_specification(ReplyWriter& reply, const CommandSpec& spec) {
    if (spec.first_key == 0) {
        reply.array(0);
        return;
    }
    reply.array(1);
    reply.map(3);
    reply.bulk("flags");
    reply.set(1);
    reply.simple((spec.flags & kFlagWrite) != 0 ? "RW" : "RO");
    reply.bulk("begin_search");
    reply.map(2);
    reply.bulk("type");
    reply.bulk("index");
    reply.bulk("spec");
    reply.map(1);
    reply.bulk("index");
    reply.integer(spec.first_key);
    reply.bulk("find_keys");
    reply.map(2);
    reply.bulk("type");
    reply.bulk("range");
    reply.bulk("spec");
    reply.map(3);
    reply.bulk("lastkey");
    reply.integer(spec.last_key < 0 ? spec.last_key : spec.last_key - spec.first_key);
    reply.bulk("keystep");
    reply.integer(spec.key_step);
    reply.bulk("limit");
    reply.integer(0);
}

void reply_info(ReplyWriter& reply, const CommandSpec& spec) {
    reply.array(10);
    reply.bulk(spec.name);
    reply.integer(spec.arity);
    std::size_t count = 0;
    for (const FlagName& flag : kFlagNames) {
        count += (spec.flags & flag.flag) != 0 ? 1U : 0U;
    }
    reply.set(count);
    for (const FlagName& flag : kFlagNames) {
        if ((spec.flags & flag.flag) != 0) {
            reply.simple(flag.name);
        }
    }
    reply.integer(spec.first_key);
    reply.integer(spec.last_key);
    reply.integer(spec.key_step);
    const std::vector<std::string_view> names = categories(spec);
    reply.set(names.size());
    for (const std::string_view name : names) {
        reply.simple(name);
    }
    reply.array(0);  // tips
    reply_key_specification(reply, spec);
    reply.array(0);  // subcommands
}

Outcome command_count(Call& call) {
    return call.integer(static_cast<std::int64_t>(CommandTable::all().size()));
}

Outcome command_info(Call& call) {
    if (call.size() <= 2) {
        call.reply().array(CommandTable::all().size());
        for (const CommandSpec& spec : CommandTable::all()) {
            reply_info(call.reply(), spec);
        }
        return Outcome::kReplied;
    }
    call.reply().array(call.size() - 2);
    for (std::size_t at = 2; at < call.size(); ++at) {
        const CommandSpec* const spec = CommandTable::find(call[at]);
        if (spec != nullptr) {
            reply_info(call.reply(), *spec);
        } else {
            call.reply().null();
        }
    }
    return Outcome::kReplied;
}

void reply_docs(ReplyWriter& reply, const CommandSpec& spec) {
    reply.bulk(spec.name);
    reply.map(3);
    reply.bulk("summary");
    reply.bulk(spec.summary);
    reply.bulk("since");
    reply.bulk(spec.since);
    reply.bulk("group");
    reply.bulk(group_name(spec.group));
}

Outcome command_docs(Call& call) {
    std::vector<const CommandSpec*> shown;
    for (std::size_t at = 2; at < call.size(); ++at) {
        const CommandSpec* const spec = CommandTable::find(call[at]);
        if (spec != nullptr) {
            shown.push_back(spec);
        }
    }
    if (call.size() <= 2) {
        for (const CommandSpec& spec : CommandTable::all()) {
            shown.push_back(&spec);
        }
    }
    call.reply().map(shown.size());
    for (const CommandSpec* const spec : shown) {
        reply_docs(call.reply(), *spec);
    }
    return Outcome::kReplied;
}

bool is_listed(Call& call, const CommandSpec& spec, const std::string& by) {
    if (by == "pattern") {
        return glob_matches(lower_case(call[4]), spec.name);
    }
    if (by == "aclcat") {
        for (const std::string_view name : categories(spec)) {
            if (equals_ignoring_case(call[4], name.substr(1))) {
                return true;
            }
        }
        return false;
    }
    return by.empty();
}

Outcome command_list(Call& call) {
    std::string by;
    if (call.size() > 2) {
        if (call.size() != 5 || !equals_ignoring_case(call[2], "filterby")) {
            return call.syntax_error();
        }
        by = lower_case(call[3]);
        if (by != "pattern" && by != "aclcat" && by != "module") {
            return call.syntax_error();
        }
    }
    std::vector<std::string_view> names;
    for (const CommandSpec& spec : CommandTable::all()) {
        if (is_listed(call, spec, by)) {
            names.push_back(spec.name);
        }
    }
    call.reply().set(names.size());
    for (const std::string_view name : names) {
        call.reply().bulk(name);
    }
    return Outcome::kReplied;
}

Outcome command_getkeys(Call& call) {
    const CommandSpec* const spec = CommandTable::find(call[2]);
    const std::size_t size = call.size() - 2;
    if (spec == nullptr) {
        return call.fail("ERR Invalid command specified");
    }
    if (spec->first_key == 0) {
        return call.fail("ERR The command has no key arguments");
    }
    if (!arity_suits(*spec, size)) {
        return call.fail("ERR Invalid number of arguments specified for command");
    }
    const KeyPositions positions(*spec, size);
    call.reply().array(positions.count());
    for (std::size_t i = 0; i < positions.count(); ++i) {
        call.reply().bulk(call[2 + positions.at(i)]);
    }
    return Outcome::kReplied;
}

constexpr auto kSubcommands = std::to_array<Subcommand>({
    {"count", 2, command_count},
    {"docs", -2, command_docs},
    {"getkeys", -4, command_getkeys},
    {"info", -2, command_info},
    {"list", -2, command_list},
});

}  // namespace

Outcome command_command(Call& call) {
    return call.size() == 1 ? command_info(call) : run_subcommand(call, kSubcommands);
}

}  // namespace kvstore::resp

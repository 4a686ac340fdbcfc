#include "cli/main.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <string>
#include <string_view>
#include <vector>

#include "base/parse.h"
#include "cli/client_command.h"
#include "cli/compact_command.h"
#include "cli/demo_command.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/server_command.h"
#include "cli/shell.h"
#include "cli/simulate_command.h"
#include "cli/stress_command.h"
#include "cli/verify_command.h"
#include "cli/verify_history_command.h"
#include "cli/version.h"

namespace kvstore::cli {
namespace {

using Words = std::vector<std::string>;

// The one list of commands: what is dispatched is what --help shows.
struct Command {
    std::string_view name;
    std::string_view aliases;  // each between blanks
    std::string_view help;
    ExitCode (*run)(const Words& arguments);
};

template <const ClientCommand& (*command)()>
ExitCode run_client(const Words& arguments) {
    return run_client_command(command(), arguments);
}

constexpr std::array<Command, 25> kCommands{{
    {.name = "server", .aliases = "", .help = "start a node", .run = run_server},
    {.name = "demo",
     .aliases = "",
     .help = "three nodes on this machine, and what to try",
     .run = run_demo},
    {.name = "shell", .aliases = "", .help = "PUT, GET, REMOVE at a prompt", .run = run_shell},
    {.name = "put", .aliases = " set ", .help = "write a key", .run = run_client<put_command>},
    {.name = "get", .aliases = "", .help = "read a key", .run = run_client<get_command>},
    {.name = "delete",
     .aliases = " del remove ",
     .help = "delete keys",
     .run = run_client<delete_command>},
    {.name = "scan",
     .aliases = " list ",
     .help = "print a prefix or a range",
     .run = run_client<scan_command>},
    {.name = "incr", .aliases = "", .help = "add to a number", .run = run_client<incr_command>},
    {.name = "ttl",
     .aliases = "",
     .help = "seconds that a key has left",
     .run = run_client<ttl_command>},
    {.name = "import",
     .aliases = "",
     .help = "write many keys from NDJSON",
     .run = run_client<import_command>},
    {.name = "export",
     .aliases = "",
     .help = "print keys and values as NDJSON",
     .run = run_client<export_command>},
    {.name = "keyspace",
     .aliases = "",
     .help = "list, create, change or drop keyspaces",
     .run = run_client<keyspace_command>},
    {.name = "status",
     .aliases = "",
     .help = "the node and its shards",
     .run = run_client<status_command>},
    {.name = "member",
     .aliases = "",
     .help = "list, add, remove or promote nodes",
     .run = run_client<member_command>},
    {.name = "node",
     .aliases = "",
     .help = "show, drain or decommission nodes",
     .run = run_client<node_command>},
    {.name = "shard",
     .aliases = "",
     .help = "list or move shards",
     .run = run_client<shard_command>},
    {.name = "move-leader",
     .aliases = "",
     .help = "have a node lead",
     .run = run_client<move_leader_command>},
    {.name = "endpoint",
     .aliases = "",
     .help = "ask each endpoint how it is",
     .run = run_client<endpoint_command>},
    {.name = "save",
     .aliases = "",
     .help = "make everything durable without the log",
     .run = run_client<save_command>},
    {.name = "compact",
     .aliases = "",
     .help = "give back the space of deleted data",
     .run = run_compact},
    {.name = "stress",
     .aliases = "",
     .help = "measure response time and throughput",
     .run = run_stress},
    {.name = "simulate",
     .aliases = "",
     .help = "run clusters under faults on virtual time",
     .run = run_simulate},
    {.name = "verify",
     .aliases = "",
     .help = "check a recorded history of operations",
     .run = run_verify_history},
    {.name = "verify-data",
     .aliases = "",
     .help = "check a data directory offline",
     .run = run_verify},
    {.name = "version",
     .aliases = " --version ",
     .help = "what this program is built on",
     .run = run_version},
}};

std::string help_text() {
    std::string text = "Usage: kvstore COMMAND [flags]\n\n";
    for (const Command& command : kCommands) {
        std::string line = "  " + std::string(command.name);
        line.resize(16, ' ');
        text += line + std::string(command.help) + "\n";
    }
    return text +
           "\n`kvstore COMMAND --help` tells more. `kvstore-cli` takes the same commands, and\n"
           "`kv_store` without arguments is the shell, over a store of its own where no server "
           "runs.\n";
}

bool is_called(const Command& command, const std::string& name) {
    return command.name == name || command.aliases.find(" " + name + " ") != std::string_view::npos;
}

ExitCode unknown_command(const std::string& name) {
    std::vector<std::string_view> names;
    for (const Command& command : kCommands) {
        names.push_back(command.name);
    }
    const std::string_view near = nearest_spelling(name, names);
    write_error("kvstore: unknown command '" + name + "'; " +
                (near.empty() ? "`kvstore --help` lists them"
                              : "did you mean '" + std::string(near) + "'?") +
                "\n");
    return ExitCode::kUsage;
}

ExitCode run_command(Words words) {
    // `kvstore cli put` is `kvstore put`.
    if (!words.empty() && words.front() == "cli") {
        words.erase(words.begin());
    }
    if (words.empty() || words.front() == "--help" || words.front() == "-h" ||
        words.front() == "help") {
        write_output(help_text());
        return words.empty() ? ExitCode::kUsage : ExitCode::kOk;
    }
    const std::string name = words.front();
    const auto* const command =
        std::ranges::find_if(kCommands, [&](const Command& each) { return is_called(each, name); });
    if (command == kCommands.end()) {
        return unknown_command(name);
    }
    words.erase(words.begin());
    return command->run(words);
}

// The oldest name: the shell, or the stress test.
ExitCode run_kv_store(Words words) {
    if (!words.empty() && (words.front() == "--stress-test" || words.front() == "-stress-test")) {
        words.erase(words.begin());
        return run_stress(words);
    }
    const bool is_flag = !words.empty() && words.front().starts_with('-') &&
                         words.front() != "--help" && words.front() != "-h" &&
                         words.front() != "--version";
    return words.empty() || is_flag ? run_embedded_shell(words) : run_command(std::move(words));
}

}  // namespace

int run_main(int argc, char** argv) {
    // A reader that goes away is told by write(), not by a signal.
    (void)std::signal(SIGPIPE, SIG_IGN);
    std::string_view called = argc > 0 ? argv[0] : "kvstore";
    called.remove_prefix(called.rfind('/') + 1);
    Words words(argv + std::min(argc, 1), argv + argc);
    const ExitCode code =
        called == "kv_store" ? run_kv_store(std::move(words)) : run_command(std::move(words));
    return static_cast<int>(code);
}

}  // namespace kvstore::cli

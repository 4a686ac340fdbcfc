// What all commands that talk to a server share: their flags, their session, their errors.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "cli/api_client.h"
#include "cli/arguments.h"
#include "cli/exit_code.h"

namespace kvstore::cli {

enum class OutputFormat : std::uint8_t { kPlain, kTable, kJson };

// Lifetime  On the stack of the command.
struct ClientSession {
    env::Env& env;
    ApiClient api;
    Arguments arguments;
    OutputFormat format = OutputFormat::kPlain;
    std::string_view command;  // for messages

    [[nodiscard]] const std::string& word(std::size_t at) const { return arguments.words()[at]; }
};

struct ClientCommand {
    std::string_view name;
    std::string_view usage;  // what stands behind the name: "KEY [VALUE]"
    std::string_view help;
    std::span<const FlagSpec> flags;  // beside those of all client commands
    std::size_t words_min = 0;
    std::size_t words_max = 0;
    async::Task<ExitCode> (*run)(ClientSession* session);
};

inline constexpr std::size_t kManyWords = ~std::size_t{0};

// Parses, connects to nothing yet, runs. Prints what is wrong, or the help.
ExitCode run_client_command(const ClientCommand& command,
                            const std::vector<std::string>& arguments);

// --endpoints (or --url) and --keyspace, or their environment variables, or the defaults.
// Errors: kInvalidArgument.
Result<ApiOptions> read_api_options(const Arguments& arguments);
Result<OutputFormat> read_output_format(const Arguments& arguments);
[[nodiscard]] std::span<const FlagSpec> common_flags();

// Prints what went wrong, where and how to repair it. Returns: what to exit with.
ExitCode report_failure(const ClientSession& session, const Status& why);

// "1h", "90s", or a bare number of seconds; at least 1, rounded up to whole seconds.
// Errors: kInvalidArgument.
Result<std::uint64_t> parse_ttl(std::string_view text);

// The commands of this program that talk to a server.
[[nodiscard]] const ClientCommand& put_command();
[[nodiscard]] const ClientCommand& get_command();
[[nodiscard]] const ClientCommand& delete_command();
[[nodiscard]] const ClientCommand& scan_command();
[[nodiscard]] const ClientCommand& incr_command();
[[nodiscard]] const ClientCommand& ttl_command();
[[nodiscard]] const ClientCommand& import_command();
[[nodiscard]] const ClientCommand& export_command();
[[nodiscard]] const ClientCommand& status_command();
[[nodiscard]] const ClientCommand& keyspace_command();
[[nodiscard]] const ClientCommand& save_command();
[[nodiscard]] const ClientCommand& compact_online_command();
[[nodiscard]] const ClientCommand& member_command();
[[nodiscard]] const ClientCommand& node_command();
[[nodiscard]] const ClientCommand& shard_command();
[[nodiscard]] const ClientCommand& move_leader_command();
[[nodiscard]] const ClientCommand& endpoint_command();

}  // namespace kvstore::cli

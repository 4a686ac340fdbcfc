// The handlers, by the file of commands/ that holds them, and what those files share.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "frontend/resp/command.h"

namespace kvstore::resp {

// The version whose behaviour is shown to clients.
inline constexpr std::string_view kRedisVersion = "7.0.15";
inline constexpr std::string_view kBadClientName =
    "ERR Client names cannot contain spaces, newlines or special characters.";

// The name of the keyspace that a database is.
[[nodiscard]] std::string database_name(unsigned database);
[[nodiscard]] bool is_client_name(ByteView name);

// One of several commands under a name, chosen by the first argument.
struct Subcommand {
    std::string_view name;
    int arity;  // as CommandSpec::arity, with both names
    Outcome (*handler)(Call&);
};
Outcome run_subcommand(Call& call, std::span<const Subcommand> subcommands);
Outcome unknown_subcommand(Call& call);
// READONLY, READWRITE, CLIENT CONSISTENCY.
Outcome use_consistency(Call& call,
                        kv::Consistency level,
                        Duration max_staleness = kv::kMaxStalenessDefault);

// table.cc
[[nodiscard]] std::span<const CommandSpec> command_rows();

// strings.cc
Outcome append_command(Call& call);
Outcome get_command(Call& call);
Outcome getdel_command(Call& call);
Outcome getex_command(Call& call);
Outcome getrange_command(Call& call);
Outcome getset_command(Call& call);
Outcome mget_command(Call& call);
Outcome mset_command(Call& call);
Outcome msetnx_command(Call& call);
Outcome psetex_command(Call& call);
Outcome set_command(Call& call);
Outcome setex_command(Call& call);
Outcome setnx_command(Call& call);
Outcome setrange_command(Call& call);
Outcome strlen_command(Call& call);

// lcs.cc
Outcome lcs_command(Call& call);

// numbers.cc
Outcome decr_command(Call& call);
Outcome decrby_command(Call& call);
Outcome incr_command(Call& call);
Outcome incrby_command(Call& call);
Outcome incrbyfloat_command(Call& call);

// generic.cc
Outcome copy_command(Call& call);
Outcome del_command(Call& call);
Outcome dump_command(Call& call);
Outcome exists_command(Call& call);
Outcome object_command(Call& call);
Outcome rename_command(Call& call);
Outcome renamenx_command(Call& call);
Outcome restore_command(Call& call);
Outcome type_command(Call& call);

// scan.cc
Outcome keys_command(Call& call);
Outcome randomkey_command(Call& call);
Outcome scan_command(Call& call);

// expire.cc
Outcome expire_command(Call& call);
Outcome expireat_command(Call& call);
Outcome expiretime_command(Call& call);
Outcome persist_command(Call& call);
Outcome pexpire_command(Call& call);
Outcome pexpireat_command(Call& call);
Outcome pexpiretime_command(Call& call);
Outcome pttl_command(Call& call);
Outcome ttl_command(Call& call);

// connection.cc
Outcome auth_command(Call& call);
Outcome echo_command(Call& call);
Outcome hello_command(Call& call);
Outcome ping_command(Call& call);
Outcome quit_command(Call& call);
Outcome readonly_command(Call& call);
Outcome readwrite_command(Call& call);
Outcome reset_command(Call& call);
Outcome select_command(Call& call);
Outcome swapdb_command(Call& call);

// client.cc
Outcome client_command(Call& call);

// transaction.cc
Outcome discard_command(Call& call);
Outcome exec_command(Call& call);
Outcome multi_command(Call& call);
Outcome unwatch_command(Call& call);
Outcome watch_command(Call& call);

// server.cc
Outcome bgrewriteaof_command(Call& call);
Outcome bgsave_command(Call& call);
Outcome dbsize_command(Call& call);
Outcome flushall_command(Call& call);
Outcome flushdb_command(Call& call);
Outcome function_command(Call& call);
Outcome lastsave_command(Call& call);
Outcome latency_command(Call& call);
Outcome memory_command(Call& call);
Outcome save_command(Call& call);
Outcome shutdown_command(Call& call);
Outcome slowlog_command(Call& call);
Outcome time_command(Call& call);
Outcome wait_command(Call& call);

// info.cc, config.cc, command_info.cc
Outcome info_command(Call& call);
Outcome config_command(Call& call);
Outcome command_command(Call& call);

}  // namespace kvstore::resp

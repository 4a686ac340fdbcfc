// The rows of the command table, in order of their groups. Flags and key positions are those of
// Redis 7.0, since clients route by them.
#include <array>

#include "frontend/resp/internal/commands.h"

namespace kvstore::resp {
namespace {

constexpr CommandFlags kReads = kFlagReadonly;
constexpr CommandFlags kReadsFast = kFlagReadonly | kFlagFast;
constexpr CommandFlags kWrites = kFlagWrite;
constexpr CommandFlags kWritesFast = kFlagWrite | kFlagFast;
constexpr CommandFlags kGrows = kFlagWrite | kFlagDenyOom;
constexpr CommandFlags kGrowsFast = kFlagWrite | kFlagDenyOom | kFlagFast;

constexpr CommandKind kRead = CommandKind::kRead;
constexpr CommandKind kWrite = CommandKind::kWrite;
constexpr CommandKind kInstant = CommandKind::kInstant;
constexpr CommandGroup kString = CommandGroup::kString;
constexpr CommandGroup kGeneric = CommandGroup::kGeneric;
constexpr CommandGroup kConnection = CommandGroup::kConnection;
constexpr CommandGroup kTransactions = CommandGroup::kTransactions;
constexpr CommandGroup kServer = CommandGroup::kServer;
constexpr CommandGroup kCluster = CommandGroup::kCluster;

constexpr CommandFlags kAlways = kFlagLoading | kFlagStale;
constexpr CommandFlags kOfConnection =
    kAlways | kFlagNoscript | kFlagFast | kFlagNoAuth | kFlagAllowBusy;
constexpr CommandFlags kOfTransaction =
    kAlways | kFlagNoscript | kFlagFast | kFlagAllowBusy | kFlagAtOnce;
constexpr CommandFlags kOfAdministrator = kFlagAdmin | kFlagNoscript;

// Every row: name, arity, kind, flags, first key, last key, step, group, handler, since, summary.
// clang-format off
constexpr auto kRows = std::to_array<CommandSpec>({
    {"append", 3, kWrite, kGrowsFast, 1, 1, 1, kString, append_command, "2.0.0", "Append a value to a key"},
    {"decr", 2, kWrite, kGrowsFast, 1, 1, 1, kString, decr_command, "1.0.0", "Decrement the integer value of a key by one"},
    {"decrby", 3, kWrite, kGrowsFast, 1, 1, 1, kString, decrby_command, "1.0.0", "Decrement the integer value of a key by the given number"},
    {"get", 2, kRead, kReadsFast, 1, 1, 1, kString, get_command, "1.0.0", "Get the value of a key"},
    {"getdel", 2, kWrite, kWritesFast, 1, 1, 1, kString, getdel_command, "6.2.0", "Get the value of a key and delete the key"},
    {"getex", -2, kWrite, kWritesFast, 1, 1, 1, kString, getex_command, "6.2.0", "Get the value of a key and optionally set its expiration"},
    {"getrange", 4, kRead, kReads, 1, 1, 1, kString, getrange_command, "2.4.0", "Get a substring of the string stored at a key"},
    {"getset", 3, kWrite, kGrowsFast, 1, 1, 1, kString, getset_command, "1.0.0", "Set the string value of a key and return its old value"},
    {"incr", 2, kWrite, kGrowsFast, 1, 1, 1, kString, incr_command, "1.0.0", "Increment the integer value of a key by one"},
    {"incrby", 3, kWrite, kGrowsFast, 1, 1, 1, kString, incrby_command, "1.0.0", "Increment the integer value of a key by the given amount"},
    {"incrbyfloat", 3, kWrite, kGrowsFast, 1, 1, 1, kString, incrbyfloat_command, "2.6.0", "Increment the float value of a key by the given amount"},
    {"lcs", -3, kRead, kReads, 1, 2, 1, kString, lcs_command, "7.0.0", "Find longest common substring"},
    {"mget", -2, kRead, kReadsFast, 1, -1, 1, kString, mget_command, "1.0.0", "Get the values of all the given keys"},
    {"mset", -3, kWrite, kGrows, 1, -1, 2, kString, mset_command, "1.0.1", "Set multiple keys to multiple values"},
    {"msetnx", -3, kWrite, kGrows, 1, -1, 2, kString, msetnx_command, "1.0.1", "Set multiple keys to multiple values, only if none of the keys exist"},
    {"psetex", 4, kWrite, kGrows, 1, 1, 1, kString, psetex_command, "2.6.0", "Set the value and expiration in milliseconds of a key"},
    {"set", -3, kWrite, kGrows, 1, 1, 1, kString, set_command, "1.0.0", "Set the string value of a key"},
    {"setex", 4, kWrite, kGrows, 1, 1, 1, kString, setex_command, "2.0.0", "Set the value and expiration of a key"},
    {"setnx", 3, kWrite, kGrowsFast, 1, 1, 1, kString, setnx_command, "1.0.0", "Set the value of a key, only if the key does not exist"},
    {"setrange", 4, kWrite, kGrows, 1, 1, 1, kString, setrange_command, "2.2.0", "Overwrite part of a string at key starting at the specified offset"},
    {"strlen", 2, kRead, kReadsFast, 1, 1, 1, kString, strlen_command, "2.2.0", "Get the length of the value stored in a key"},
    {"substr", 4, kRead, kReads, 1, 1, 1, kString, getrange_command, "1.0.0", "Get a substring of the string stored at a key"},

    {"copy", -3, kWrite, kGrows, 1, 2, 1, kGeneric, copy_command, "6.2.0", "Copy a key"},
    {"del", -2, kWrite, kWrites, 1, -1, 1, kGeneric, del_command, "1.0.0", "Delete a key"},
    {"remove", -2, kWrite, kWrites, 1, -1, 1, kGeneric, del_command, "1.0.0", "Delete a key"},
    {"dump", 2, kRead, kReads, 1, 1, 1, kGeneric, dump_command, "2.6.0", "Return a serialized version of the value stored at the specified key."},
    {"exists", -2, kRead, kReadsFast, 1, -1, 1, kGeneric, exists_command, "1.0.0", "Determine if a key exists"},
    {"expire", -3, kWrite, kWritesFast, 1, 1, 1, kGeneric, expire_command, "1.0.0", "Set a key's time to live in seconds"},
    {"expireat", -3, kWrite, kWritesFast, 1, 1, 1, kGeneric, expireat_command, "1.2.0", "Set the expiration for a key as a UNIX timestamp"},
    {"expiretime", 2, kRead, kReadsFast, 1, 1, 1, kGeneric, expiretime_command, "7.0.0", "Get the expiration Unix timestamp for a key"},
    {"keys", 2, kInstant, kReads, 0, 0, 0, kGeneric, keys_command, "1.0.0", "Find all keys matching the given pattern"},
    {"object", -2, kRead, kReads, 2, 2, 1, kGeneric, object_command, "2.2.3", "A container for object introspection commands"},
    {"persist", 2, kWrite, kWritesFast, 1, 1, 1, kGeneric, persist_command, "2.2.0", "Remove the expiration from a key"},
    {"pexpire", -3, kWrite, kWritesFast, 1, 1, 1, kGeneric, pexpire_command, "2.6.0", "Set a key's time to live in milliseconds"},
    {"pexpireat", -3, kWrite, kWritesFast, 1, 1, 1, kGeneric, pexpireat_command, "2.6.0", "Set the expiration for a key as a UNIX timestamp specified in milliseconds"},
    {"pexpiretime", 2, kRead, kReadsFast, 1, 1, 1, kGeneric, pexpiretime_command, "7.0.0", "Get the expiration Unix timestamp for a key in milliseconds"},
    {"pttl", 2, kRead, kReadsFast, 1, 1, 1, kGeneric, pttl_command, "2.6.0", "Get the time to live for a key in milliseconds"},
    {"randomkey", 1, kInstant, kReads, 0, 0, 0, kGeneric, randomkey_command, "1.0.0", "Return a random key from the keyspace"},
    {"rename", 3, kWrite, kWrites, 1, 2, 1, kGeneric, rename_command, "1.0.0", "Rename a key"},
    {"renamenx", 3, kWrite, kWritesFast, 1, 2, 1, kGeneric, renamenx_command, "1.0.0", "Rename a key, only if the new key does not exist"},
    {"restore", -4, kWrite, kGrows, 1, 1, 1, kGeneric, restore_command, "2.6.0", "Create a key using the provided serialized value, previously obtained using DUMP."},
    {"scan", -2, kInstant, kReads, 0, 0, 0, kGeneric, scan_command, "2.8.0", "Incrementally iterate the keys space"},
    {"touch", -2, kRead, kReadsFast, 1, -1, 1, kGeneric, exists_command, "3.2.1", "Alters the last access time of a key(s). Returns the number of existing keys specified."},
    {"ttl", 2, kRead, kReadsFast, 1, 1, 1, kGeneric, ttl_command, "1.0.0", "Get the time to live for a key in seconds"},
    {"type", 2, kRead, kReadsFast, 1, 1, 1, kGeneric, type_command, "1.0.0", "Determine the type stored at key"},
    {"unlink", -2, kWrite, kWritesFast, 1, -1, 1, kGeneric, del_command, "4.0.0", "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking."},

    {"wait", 3, kInstant, kFlagNoscript, 0, 0, 0, kGeneric, wait_command, "3.0.0", "Wait for the synchronous replication of all the write commands sent in the context of the current connection"},

    {"auth", -2, kInstant, kOfConnection, 0, 0, 0, kConnection, auth_command, "1.0.0", "Authenticate to the server"},
    {"client", -2, kInstant, kAlways | kFlagNoscript, 0, 0, 0, kConnection, client_command, "2.4.0", "A container for client connection commands"},
    {"echo", 2, kInstant, kAlways | kFlagFast, 0, 0, 0, kConnection, echo_command, "1.0.0", "Echo the given string"},
    {"hello", -1, kInstant, kOfConnection, 0, 0, 0, kConnection, hello_command, "6.0.0", "Handshake with Redis"},
    {"ping", -1, kInstant, kFlagFast, 0, 0, 0, kConnection, ping_command, "1.0.0", "Ping the server"},
    {"quit", -1, kInstant, kOfConnection | kFlagAtOnce, 0, 0, 0, kConnection, quit_command, "1.0.0", "Close the connection"},
    {"readonly", 1, kInstant, kAlways | kFlagFast, 0, 0, 0, kCluster, readonly_command, "3.0.0", "Enables read queries for a connection to a Redis Cluster replica node."},
    {"readwrite", 1, kInstant, kAlways | kFlagFast, 0, 0, 0, kCluster, readwrite_command, "3.0.0", "Enables read-write queries for a connection to a Redis Cluster replica node."},
    {"reset", 1, kInstant, kOfConnection | kFlagAtOnce, 0, 0, 0, kConnection, reset_command, "6.2.0", "Reset the connection"},
    {"select", 2, kInstant, kAlways | kFlagFast, 0, 0, 0, kConnection, select_command, "1.0.0", "Change the selected database for the current connection"},

    {"discard", 1, kInstant, kOfTransaction, 0, 0, 0, kTransactions, discard_command, "2.0.0", "Discard all commands issued after MULTI"},
    {"exec", 1, kWrite, kAlways | kFlagNoscript | kFlagAtOnce, 0, 0, 0, kTransactions, exec_command, "1.2.0", "Execute all commands issued after MULTI"},
    {"multi", 1, kInstant, kOfTransaction, 0, 0, 0, kTransactions, multi_command, "1.2.0", "Mark the start of a transaction block"},
    {"unwatch", 1, kInstant, kAlways | kFlagNoscript | kFlagFast | kFlagAllowBusy, 0, 0, 0, kTransactions, unwatch_command, "2.2.0", "Forget about all watched keys"},
    {"watch", -2, kInstant, kOfTransaction, 1, -1, 1, kTransactions, watch_command, "2.2.0", "Watch the given keys to determine execution of the MULTI/EXEC block"},

    {"bgrewriteaof", 1, kInstant, kOfAdministrator, 0, 0, 0, kServer, bgrewriteaof_command, "1.0.0", "Asynchronously rewrite the append-only file"},
    {"bgsave", -1, kInstant, kOfAdministrator, 0, 0, 0, kServer, bgsave_command, "1.0.0", "Asynchronously save the dataset to disk"},
    {"command", -1, kInstant, kAlways, 0, 0, 0, kServer, command_command, "2.8.13", "Get array of Redis command details"},
    {"compactlog", 1, kInstant, kOfAdministrator, 0, 0, 0, kServer, save_command, "7.0.0", "Make all data durable and let the log go"},
    {"config", -2, kInstant, kAlways | kOfAdministrator, 0, 0, 0, kServer, config_command, "2.0.0", "A container for server configuration commands"},
    {"dbsize", 1, kInstant, kReadsFast, 0, 0, 0, kServer, dbsize_command, "1.0.0", "Return the number of keys in the selected database"},
    {"flushall", -1, kWrite, kWrites, 0, 0, 0, kServer, flushall_command, "1.0.0", "Remove all keys from all databases"},
    {"flushdb", -1, kWrite, kWrites, 0, 0, 0, kServer, flushdb_command, "1.0.0", "Remove all keys from the current database"},
    {"function", -2, kInstant, kFlagNoscript, 0, 0, 0, kServer, function_command, "7.0.0", "A container for function commands"},
    {"info", -1, kInstant, kAlways, 0, 0, 0, kServer, info_command, "1.0.0", "Get information and statistics about the server"},
    {"lastsave", 1, kInstant, kAlways | kFlagFast, 0, 0, 0, kServer, lastsave_command, "1.0.0", "Get the UNIX time stamp of the last successful save to disk"},
    {"latency", -2, kInstant, kAlways | kOfAdministrator, 0, 0, 0, kServer, latency_command, "2.8.13", "A container for latency diagnostics commands"},
    {"memory", -2, kRead, kReads, 2, 2, 1, kServer, memory_command, "4.0.0", "A container for memory diagnostics commands"},
    {"save", 1, kInstant, kOfAdministrator | kFlagNoMulti, 0, 0, 0, kServer, save_command, "1.0.0", "Synchronously save the dataset to disk"},
    {"shutdown", -1, kInstant, kAlways | kOfAdministrator | kFlagNoMulti | kFlagAllowBusy, 0, 0, 0, kServer, shutdown_command, "1.0.0", "Synchronously save the dataset to disk and then shut down the server"},
    {"slowlog", -2, kInstant, kAlways | kFlagAdmin, 0, 0, 0, kServer, slowlog_command, "2.2.12", "A container for slow log commands"},
    {"swapdb", 3, kInstant, kFlagWrite | kFlagFast, 0, 0, 0, kServer, swapdb_command, "4.0.0", "Swaps two Redis databases"},
    {"time", 1, kInstant, kAlways | kFlagFast, 0, 0, 0, kServer, time_command, "2.6.0", "Return the current server time"},
});
// clang-format on

}  // namespace

std::span<const CommandSpec> command_rows() {
    return kRows;
}

}  // namespace kvstore::resp

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

    {"del", -2, kWrite, kWrites, 1, -1, 1, kGeneric, del_command, "1.0.0", "Delete a key"},
    {"remove", -2, kWrite, kWrites, 1, -1, 1, kGeneric, del_command, "1.0.0", "Delete a key"},
    {"exists", -2, kRead, kReadsFast, 1, -1, 1, kGeneric, exists_command, "1.0.0", "Determine if a key exists"},
    {"expire", -3, kWrite, kWritesFast, 1, 1, 1, kGeneric, expire_command, "1.0.0", "Set a key's time to live in seconds"},
    {"expireat", -3, kWrite, kWritesFast, 1, 1, 1, kGeneric, expireat_command, "1.2.0", "Set the expiration for a key as a UNIX timestamp"},
    {"expiretime", 2, kRead, kReadsFast, 1, 1, 1, kGeneric, expiretime_command, "7.0.0", "Get the expiration Unix timestamp for a key"},
    {"persist", 2, kWrite, kWritesFast, 1, 1, 1, kGeneric, persist_command, "2.2.0", "Remove the expiration from a key"},
    {"pexpire", -3, kWrite, kWritesFast, 1, 1, 1, kGeneric, pexpire_command, "2.6.0", "Set a key's time to live in milliseconds"},
    {"pexpireat", -3, kWrite, kWritesFast, 1, 1, 1, kGeneric, pexpireat_command, "2.6.0", "Set the expiration for a key as a UNIX timestamp specified in milliseconds"},
    {"pexpiretime", 2, kRead, kReadsFast, 1, 1, 1, kGeneric, pexpiretime_command, "7.0.0", "Get the expiration Unix timestamp for a key in milliseconds"},
    {"pttl", 2, kRead, kReadsFast, 1, 1, 1, kGeneric, pttl_command, "2.6.0", "Get the time to live for a key in milliseconds"},
    {"ttl", 2, kRead, kReadsFast, 1, 1, 1, kGeneric, ttl_command, "1.0.0", "Get the time to live for a key in seconds"},
    {"unlink", -2, kWrite, kWritesFast, 1, -1, 1, kGeneric, del_command, "4.0.0", "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking."},

    {"echo", 2, kInstant, kFlagLoading | kFlagStale | kFlagFast, 0, 0, 0, kConnection, echo_command, "1.0.0", "Echo the given string"},
    {"ping", -1, kInstant, kFlagFast, 0, 0, 0, kConnection, ping_command, "1.0.0", "Ping the server"},
    {"quit", -1, kInstant, kFlagAllowBusy | kFlagNoscript | kFlagLoading | kFlagStale | kFlagFast | kFlagNoAuth | kFlagAtOnce, 0, 0, 0, kConnection, quit_command, "1.0.0", "Close the connection"},
});
// clang-format on

}  // namespace

std::span<const CommandSpec> command_rows() {
    return kRows;
}

}  // namespace kvstore::resp

// The handlers, by the file of commands/ that holds them.
#pragma once

#include <span>

#include "frontend/resp/command.h"

namespace kvstore::resp {

// commands/table.cc
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

// numbers.cc
Outcome decr_command(Call& call);
Outcome decrby_command(Call& call);
Outcome incr_command(Call& call);
Outcome incrby_command(Call& call);
Outcome incrbyfloat_command(Call& call);

// generic.cc
Outcome del_command(Call& call);
Outcome exists_command(Call& call);

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
Outcome echo_command(Call& call);
Outcome ping_command(Call& call);
Outcome quit_command(Call& call);

}  // namespace kvstore::resp

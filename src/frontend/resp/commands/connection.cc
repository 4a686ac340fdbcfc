// Commands on the connection itself.
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"
#include "frontend/resp/internal/session.h"

namespace kvstore::resp {

Outcome ping_command(Call& call) {
    if (call.size() > 2) {
        return call.fail("ERR wrong number of arguments for 'ping' command");
    }
    if (call.size() == 2) {
        call.reply().bulk(call[1]);
    } else {
        call.reply().simple("PONG");
    }
    return Outcome::kReplied;
}

Outcome echo_command(Call& call) {
    call.reply().bulk(call[1]);
    return Outcome::kReplied;
}

Outcome quit_command(Call& call) {
    call.session().close_after_replies();
    return call.ok();
}

}  // namespace kvstore::resp

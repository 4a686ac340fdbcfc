// Plays a golden script: lines of commands, then `---`, then what is true; a blank line
// begins the next scene. A person can read it, and every step of it is checked.
//
//     cluster nodes=3 leader=1     a group; leader= elects
//     put 1 a=1                    proposes at member 1, and tells if it is refused
//     read 1                       asks for a read at member 1
//     elect 2 | transfer 1 2 | forget 2 | campaign 2
//     partition 1 | 2 3            cuts every link between the sides
//     heal | crash 1 | restart 1
//     mute 5 | mute 0              the appends of 5 get lost; nobody's do
//     join 4                       starts an empty member
//     change 1 +4 -2 ~5            proposes: add 4, remove 2, make 5 a learner
//     leave 1                      proposes to leave a joint configuration
//     checkpoint 1 | compact 1
//     settle                       runs all that is due, without time passing
//     ticks 10                     lets time pass everywhere, and settles
#pragma once

#include <string>

namespace kvstore::raft::testing {

// The script with what really happened in place of what it expects.
[[nodiscard]] std::string replay_script(const std::string& script);

}  // namespace kvstore::raft::testing

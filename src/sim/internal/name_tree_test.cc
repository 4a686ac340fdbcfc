#include "sim/internal/name_tree.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace kvstore::sim::internal {
namespace {

constexpr std::uint64_t kSeeds = 300;

void make_file(NameTree& tree, const std::string& path) {
    tree.create(*tree.place(path), false);
}
void make_folder(NameTree& tree, const std::string& path) {
    tree.create(*tree.place(path), true);
}
void rename(NameTree& tree, const std::string& from, const std::string& to) {
    tree.rename(*tree.place(from), *tree.place(to));
}
void sync(NameTree& tree, const std::string& path) {
    tree.persist(tree.find(path), tree.last_change());
}

// The paths of files that many crashes leave, joined by blanks.
template <typename Make>
std::set<std::string> after_crashes(Make make) {
    std::set<std::string> outcomes;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        NameTree tree;
        make(tree);
        Random random(seed);
        tree.crash(random, 512);
        std::string paths;
        for (const auto& [path, node] : tree.files()) {
            paths += (paths.empty() ? "" : " ") + path;
        }
        outcomes.insert(paths);
    }
    return outcomes;
}

using Outcomes = std::set<std::string>;

TEST(NameTree, RefusesDotsInPaths) {
    EXPECT_EQ(NameTree::split("a/../b").status().code(), Code::kInvalidArgument);
    EXPECT_EQ(NameTree().place("./a").status().code(), Code::kInvalidArgument);
    EXPECT_EQ(*NameTree::split("/a//b/"), (std::vector<std::string>{"a", "b"}));
}

TEST(NameTree, LosesOrKeepsANameThatWasNotSynced) {
    EXPECT_EQ(after_crashes([](NameTree& tree) { make_file(tree, "a"); }), (Outcomes{"", "a"}));
}

TEST(NameTree, KeepsASyncedName) {
    EXPECT_EQ(after_crashes([](NameTree& tree) {
                  make_file(tree, "a");
                  sync(tree, "");
              }),
              Outcomes{"a"});
}

TEST(NameTree, BringsBackAFileWhoseRemovalWasNotSynced) {
    EXPECT_EQ(after_crashes([](NameTree& tree) {
                  make_file(tree, "a");
                  sync(tree, "");
                  tree.remove(*tree.place("a"));
              }),
              (Outcomes{"", "a"}));
}

TEST(NameTree, NeverLeavesNeitherNameOfARename) {
    EXPECT_EQ(after_crashes([](NameTree& tree) {
                  make_file(tree, "a");
                  sync(tree, "");
                  rename(tree, "a", "b");
              }),
              (Outcomes{"a", "b"}));
}

TEST(NameTree, NeverLeavesNothingWhereARenameReplacedAFile) {
    EXPECT_EQ(after_crashes([](NameTree& tree) {
                  make_file(tree, "a");
                  sync(tree, "");
                  make_file(tree, "a.new");
                  rename(tree, "a.new", "a");
              }),
              (Outcomes{"a", "a a.new"}));
}

// What was renamed must not be lost because its old name was given to another file.
TEST(NameTree, NeverKeepsALaterUseOfANameWithoutTheRenameThatFreedIt) {
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        NameTree tree;
        make_file(tree, "a");
        const NodeRef old = tree.find("a");
        sync(tree, "");
        rename(tree, "a", "b");
        make_file(tree, "a");
        Random random(seed);

        tree.crash(random, 512);

        EXPECT_TRUE(tree.find("a") == old || tree.find("b") == old) << seed;
    }
}

TEST(NameTree, KeepsARenameBetweenFoldersAsAWholeOnceEitherIsSynced) {
    for (const std::string synced : {"x", "y"}) {
        EXPECT_EQ(after_crashes([&synced](NameTree& tree) {
                      make_folder(tree, "x");
                      make_folder(tree, "y");
                      sync(tree, "");
                      make_file(tree, "x/a");
                      rename(tree, "x/a", "y/a");
                      sync(tree, synced);
                  }),
                  Outcomes{"y/a"});
    }
}

TEST(NameTree, LosesAFolderWhoseParentWasNotSynced) {
    EXPECT_EQ(after_crashes([](NameTree& tree) {
                  make_folder(tree, "d");
                  make_file(tree, "d/a");
                  sync(tree, "d");
              }),
              (Outcomes{"", "d/a"}));
}

TEST(NameTree, SyncsOnlyTheFolderItIsAskedFor) {
    EXPECT_EQ(after_crashes([](NameTree& tree) {
                  make_folder(tree, "d");
                  sync(tree, "");
                  make_file(tree, "d/a");
                  make_file(tree, "b");
                  sync(tree, "");
              }),
              (Outcomes{"b", "b d/a"}));
}

TEST(NameTree, FindsFilesUnderTheNewNameOfTheirFolder) {
    EXPECT_EQ(after_crashes([](NameTree& tree) {
                  make_folder(tree, "d.new");
                  make_file(tree, "d.new/a");
                  rename(tree, "d.new", "d");
                  sync(tree, "d");
                  sync(tree, "");
              }),
              Outcomes{"d/a"});
}

TEST(NameTree, MayLeavePartOfAFolderWhoseRemovalWasNotSynced) {
    const Outcomes outcomes = after_crashes([](NameTree& tree) {
        make_folder(tree, "d");
        make_file(tree, "d/a");
        make_file(tree, "d/b");
        sync(tree, "d");
        sync(tree, "");
        tree.remove(*tree.place("d"));
    });

    EXPECT_TRUE(outcomes.contains(""));
    EXPECT_TRUE(outcomes.contains("d/a d/b"));
    EXPECT_TRUE(outcomes.contains("d/b"));
}

TEST(NameTree, MayKeepLaterChangesAndLoseEarlierOnesOfOtherNames) {
    const Outcomes outcomes = after_crashes([](NameTree& tree) {
        make_file(tree, "a");
        make_file(tree, "b");
    });

    EXPECT_EQ(outcomes, (Outcomes{"", "a", "a b", "b"}));
}

TEST(NameTree, DoesNotSyncChangesMadeAfterTheSyncBegan) {
    EXPECT_EQ(after_crashes([](NameTree& tree) {
                  make_file(tree, "a");
                  const NameTree::Change last = tree.last_change();
                  make_file(tree, "b");
                  tree.persist(tree.find(""), last);
              }),
              (Outcomes{"a", "a b"}));
}

}  // namespace
}  // namespace kvstore::sim::internal

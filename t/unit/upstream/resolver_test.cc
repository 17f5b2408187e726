#include "upstream/resolver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "core/clock.h"

namespace ub {
namespace {

HostAnswer Answer(const std::string& address) { return LookUpHost(address); }

// Looks names up in a list of its own, and holds each look-up while it is told to.
class Names {
 public:
  HostAnswer LookUp(const std::string& host) {
    std::unique_lock lock(mutex_);
    ++asked_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    HostAnswer answer;
    if (host == "bad") {
      answer.error = "no such name";
    } else {
      answer = Answer(host == "one" ? "192.0.2.1" : "192.0.2.2");
    }
    return answer;
  }
  void Hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }
  void WaitAsked(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asked_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  int asked_ = 0;
};

class ResolverTest : public ::testing::Test {
 protected:
  ResolverTest()
      : loop_(std::move(*EventLoop::Create())),
        give_up_(loop_.get(), [](void* loop) { static_cast<EventLoop*>(loop)->Stop(); }, loop_.get()) {}
  std::unique_ptr<Resolver> Make() {
    return std::make_unique<Resolver>(
        loop_.get(),
        [this](const HostAnswers& answers) {
          answers_.push_back(answers);
          loop_->Stop();
        },
        [names = names_](const std::string& host) { return names->LookUp(host); });
  }
  // Runs the loop until an answer came.
  void Await() {
    give_up_.Set(MonotonicNs() + 20'000'000'000);
    loop_->Run();
    give_up_.Cancel();
  }

  std::unique_ptr<EventLoop> loop_;
  Timer give_up_;
  std::shared_ptr<Names> names_ = std::make_shared<Names>();  // the thread may outlive a test
  std::vector<HostAnswers> answers_;
};

TEST_F(ResolverTest, AnswersOnTheLoop) {
  const auto resolver = Make();
  ASSERT_TRUE(resolver->Ask({"one", "two", "bad"}).ok());
  Await();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(AddressText(answers_[0].at("one").addresses.at(0)), "192.0.2.1");
  EXPECT_EQ(AddressText(answers_[0].at("two").addresses.at(0)), "192.0.2.2");
  EXPECT_EQ(answers_[0].at("bad").error, "no such name");
  ASSERT_TRUE(resolver->Ask({"two"}).ok());
  Await();
  ASSERT_EQ(answers_.size(), 2u);
  EXPECT_EQ(answers_[1].size(), 1u);
}

TEST_F(ResolverTest, TheNewestQuestionReplacesOneThatHasNotBegun) {
  names_->Hold(true);
  const auto resolver = Make();
  ASSERT_TRUE(resolver->Ask({"one"}).ok());
  names_->WaitAsked(1);
  ASSERT_TRUE(resolver->Ask({"bad"}).ok());
  ASSERT_TRUE(resolver->Ask({"two"}).ok());
  names_->Hold(false);
  Await();
  while (answers_.back().contains("one") && answers_.size() < 2) Await();
  EXPECT_TRUE(answers_.back().contains("two"));
  for (const HostAnswers& answers : answers_) EXPECT_FALSE(answers.contains("bad"));
}

TEST_F(ResolverTest, ALookUpThatHangsKeepsNobody) {
  names_->Hold(true);
  auto resolver = Make();
  ASSERT_TRUE(resolver->Ask({"one"}).ok());
  names_->WaitAsked(1);
  resolver.reset();
  names_->Hold(false);
  EXPECT_TRUE(answers_.empty());
}

TEST(LookUpHost, LiteralsAndNames) {
  EXPECT_EQ(AddressText(LookUpHost("192.0.2.7").addresses.at(0)), "192.0.2.7");
  EXPECT_EQ(AddressText(LookUpHost("::1").addresses.at(0)), "::1");
  const HostAnswer local = LookUpHost("localhost");
  EXPECT_TRUE(local.error.empty()) << local.error;
  EXPECT_FALSE(local.addresses.empty());
  const HostAnswer nobody = LookUpHost("no-such-name.invalid");
  EXPECT_TRUE(nobody.addresses.empty());
  EXPECT_NE(nobody.error.find("cannot resolve \"no-such-name.invalid\""), std::string::npos) << nobody.error;
}

TEST(AssembleBackends, EveryAddressOfANameIsABackend) {
  Config config;
  config.backends.resize(4);
  config.backends[0].host = "192.0.2.1";
  config.backends[1].host = "app";
  config.backends[2].host = "gone";
  config.backends[3].host = "later";
  for (BackendConfig& backend : config.backends) backend.port = 80;
  EXPECT_EQ(HostNames(config), (std::vector<std::string>{"app", "gone", "later"}));
  HostAnswers answers;
  answers["app"].addresses = {LookUpHost("192.0.2.1").addresses[0], LookUpHost("192.0.2.2").addresses[0],
                              LookUpHost("2001:db8::1").addresses[0]};
  answers["gone"].error = "cannot resolve \"gone\": it is";
  const ResolveResult result = AssembleBackends(config, answers);
  std::vector<std::string> texts;
  for (const ResolvedBackend& backend : result.backends) texts.push_back(backend.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"192.0.2.1:80", "192.0.2.2:80", "[2001:db8::1]:80"})) << "no address twice";
  ASSERT_EQ(result.failures.size(), 2u);
  EXPECT_EQ(result.failures[0].index, 2u);
  EXPECT_EQ(result.failures[1].index, 3u);
}

}  // namespace
}  // namespace ub

namespace Uml.Fuzz.Running;

/// <summary>A short run of every target, always the same one, and the runner itself.</summary>
public sealed class FuzzTests
{
    public static IEnumerable<string> TargetNames => Program.Targets.Select(target => target.Name);

    [TestCaseSource(nameof(TargetNames))]
    public void A_target_withstands(string name)
    {
        FuzzTarget target = Program.Targets.First(candidate => candidate.Name == name);
        FuzzRun run = new(target, TestContext.Out, default) { Seed = 1, MaximumCases = target.TestCases };

        run.Run();

        Assert.That(run.Failures, Is.Empty);
        Assert.That(run.Cases, Is.EqualTo(target.TestCases));
    }

    [Test]
    public void A_case_that_throws_is_reported_with_the_command_that_repeats_it()
    {
        using StringWriter output = new();
        FuzzTarget target = new("made", "", run => run.ForEachCase(test =>
        {
            test.Description = "the first that is odd";
            _ = test.Random.OneIn(8) ? throw new InvalidDataException($"of case {test.Seed:x}") : 0;
        }), 0);
        FuzzRun run = new(target, output, default) { Seed = 2, MaximumCases = 100 };

        Assert.That(run.Run(), Is.False);

        string text = output.ToString();
        string seed = text[(text.IndexOf("--case ", StringComparison.Ordinal) + 7)..].Split('\n')[0].Trim();
        using StringWriter again = new();
        FuzzRun repeated = new(target, again, default) { Seed = 3, MaximumCases = 100, OnlyCase = Seeds.TryParse(seed, out ulong parsed) ? parsed : null };
        Assert.That(text, Does.Contain("the first that is odd").And.Contain("InvalidDataException"));
        Assert.That(run.Failures.Single().Value, Is.GreaterThan(1), "one report for a kind, and a count");
        Assert.That(repeated.Run(), Is.False);
        Assert.That(again.ToString(), Does.Contain($"of case {seed[2..]}"));
    }

    [TestCase("kernels --seconds x", "--seconds")]
    [TestCase("kernels --seconds -1", "at least 0.001")]
    [TestCase("kernels --seconds NaN", "at least 0.001")]
    [TestCase("kernels --seconds Infinity", "at most 4000000")]
    [TestCase("kernels --seconds 99999999999999", "at most 4000000")]
    [TestCase("kernels --journal /no/such/directory/x", "no directory '/no/such/directory'")]
    [TestCase("kernels --seed zz", "'zz' is not a seed")]
    [TestCase("kernels --case 0x", "'0x' is not a seed")]
    [TestCase("kernels --cases 0", "at least 1")]
    [TestCase("kernels --cases", "--cases")]
    [TestCase("kernels --first -1", "at least 0")]
    [TestCase("tables", "tables")]
    [TestCase("", "command")]
    public void A_wrong_command_line_says_what_to_write(string line, string advice) =>
        Assert.That(Program.CreateCommand().Parse(line).Errors.Select(error => error.Message), Has.Some.Contains(advice).IgnoreCase);

    [Test]
    public void A_case_runs_in_a_process_of_its_own()
    {
        using StringWriter output = new();
        FuzzSettings settings = new(Time: null, Seed: 1, OnlyCase: 5, FirstCase: 0, MaximumCases: 10, Isolated: true, Journal: null);
        Assert.That(new IsolatedRun("initramfs", settings, output).Run(), Is.True, output.ToString());
    }

    [Test]
    public void A_case_that_takes_too_much_is_reported()
    {
        Assert.That(Kind(_ => GC.KeepAlive(new byte[2 << 20])), Is.EqualTo("allocation"));
        Assert.That(Kind(_ => Spin(TimeSpan.FromMilliseconds(300))), Is.EqualTo("time"));
        Assert.That(Kind(_ => { }), Is.Null);

        static string? Kind(Action<FuzzCase> test)
        {
            FuzzTarget target = new("made", "", run =>
            {
                run.Limits = new FuzzLimits(TimeSpan.FromMilliseconds(200), 1 << 20, long.MaxValue);
                run.ForEachCase(test);
            }, 0);
            using StringWriter output = new();
            FuzzRun run = new(target, output, default) { Seed = 1, MaximumCases = 1 };
            run.Run();
            return run.Failures.Keys.SingleOrDefault();
        }

        static void Spin(TimeSpan time)
        {
            TimeSpan end = Used() + time;
            while (Used() < end)
            {
            }
        }

        static TimeSpan Used()
        {
            using var process = System.Diagnostics.Process.GetCurrentProcess();
            return process.TotalProcessorTime;
        }
    }
}

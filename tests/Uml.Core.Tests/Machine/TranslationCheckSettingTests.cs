using Uml.Core.Cpu;
using Uml.Core.Sandbox;

namespace Uml.Core.Tests.Machine;

/// <summary>The runtime setting that says whether translated code is checked. A value that is not understood never switches the check off.</summary>
[TestFixture]
[NonParallelizable]
public sealed class TranslationCheckSettingTests
{
    private const string Setting = "Uml.Core.TranslationCheck";

    private object? _before;

    [SetUp]
    public void Remember() => _before = AppContext.GetData(Setting);

    [TearDown]
    public void Restore() => AppContext.SetData(Setting, _before);

    [Test]
    public void These_tests_run_with_the_check() => Assert.That(_before, Is.EqualTo("Stop"));

    [Test]
    public void Without_a_setting_debug_builds_check()
    {
#if DEBUG
        const TranslationCheck build = TranslationCheck.Stop;
#else
        const TranslationCheck build = TranslationCheck.None;
#endif
        AppContext.SetData(Setting, null);
        Assert.That(new CpuOptions().TranslationCheck, Is.EqualTo(build));
    }

    [TestCase("Stop", TranslationCheck.Stop)]
    [TestCase("stop", TranslationCheck.Stop)]
    [TestCase("INTERPRET", TranslationCheck.Interpret)]
    [TestCase("none", TranslationCheck.None)]
    [TestCase(TranslationCheck.Interpret, TranslationCheck.Interpret)]
    public void The_runtime_setting_is_the_default_of_machine_and_sandbox(object value, TranslationCheck check)
    {
        AppContext.SetData(Setting, value);
        Assert.That(new CpuOptions().TranslationCheck, Is.EqualTo(check));
        Assert.That(new CodeSandboxOptions().TranslationCheck, Is.EqualTo(check));
    }

    [TestCase("Stopp")]
    [TestCase("")]
    [TestCase("true")]
    [TestCase("7")]
    [TestCase("2")]
    [TestCase("None, Stop")]
    public void A_value_that_is_not_understood_is_refused_with_the_choices(string value)
    {
        AppContext.SetData(Setting, value);
        string[] expected = [Setting, $"'{value}'", "None, Interpret or Stop"];
        using var cpu = new ScriptedCpu();
        foreach (Action build in (Action[])[() => ScriptedMachine.CreateBuilder(cpu).Build(), () => new CodeSandbox().Dispose()])
        {
            string message = Assert.Throws<MachineConfigurationException>(() => build())!.Message;
            Assert.That(expected, Is.All.Matches<string>(part => message.Contains(part!, StringComparison.Ordinal)), message);
        }
    }

    [Test]
    public void A_property_that_is_set_counts_more_than_the_setting()
    {
        AppContext.SetData(Setting, "Stopp");
        using var sandbox = new CodeSandbox(new CodeSandboxOptions { TranslationCheck = TranslationCheck.Stop });
        sandbox.Load([0x90]);
        Assert.That(sandbox.Run().Reason, Is.EqualTo(CodeStopReason.Halt));
    }

    [TestCase(3)]
    [TestCase(-1)]
    [TestCase(int.MinValue)]
    public void A_check_that_there_is_not_is_refused(int value)
    {
        AppContext.SetData(Setting, "Stop");
        using var cpu = new ScriptedCpu();
        Assert.That(
            () => ScriptedMachine.CreateBuilder(cpu).Configure(options => options.Cpu.TranslationCheck = (TranslationCheck)value).Build(),
            Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains(
                $"MachineOptions.Cpu.TranslationCheck is {value}; use TranslationCheck.None, Interpret or Stop."));
        Assert.That(
            () => new CodeSandbox(new CodeSandboxOptions { TranslationCheck = (TranslationCheck)value }),
            Throws.InstanceOf<MachineConfigurationException>().With.Message.Contains(
                $"CodeSandboxOptions.TranslationCheck is {value}; use TranslationCheck.None, Interpret or Stop."));
    }
}


namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>Branches as far as a displacement reaches: counted from the page that runs, they go farther than 2 GiB.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class DistantBranchTests : IDisposable
{
    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    [TestCase("0F 85 FF FF FF 7F")] // jne
    [TestCase("E9 FF FF FF 7F")] // jmp
    [TestCase("E8 FF FF FF 7F")] // call
    [TestCase("90 90 90 0F 85 FC FF FF 7F")]
    [TestCase("0F 85 00 00 00 80")]
    [TestCase("E8 00 00 00 80")]
    public void A_branch_of_two_gigabytes_goes_where_it_says(string code)
    {
        byte[] bytes = Convert.FromHexString(code.Replace(" ", ""));
        _pair.Each(machine =>
        {
            for (int i = 0; i < bytes.Length; i++)
            {
                machine.Poke(BareGuest.Code + (ulong)i, bytes[i]);
            }
        });
        _pair.ResetRegisters();
        _pair.Run(what: code);
        ulong target = BareGuest.Code + (ulong)bytes.Length + (ulong)BitConverter.ToInt32(bytes, bytes.Length - 4);
        Assert.That(_pair.Vector, Is.EqualTo(14));
        Assert.That(_pair.Jit.State->Cr2, Is.EqualTo(target));
        _pair.AssertTranslated();
    }
}

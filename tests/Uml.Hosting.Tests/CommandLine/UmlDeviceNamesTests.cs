using Uml.Hosting.CommandLine;

namespace Uml.Hosting.Tests.CommandLine;

[TestFixture]
public sealed class UmlDeviceNamesTests
{
    [TestCase("/dev/ubda", "/dev/vda")]
    [TestCase("/dev/ubdb", "/dev/vdb")]
    [TestCase("/dev/ubda1", "/dev/vda1")]
    [TestCase("/dev/ubd0", "/dev/vda")]
    [TestCase("/dev/ubd15", "/dev/vdp")]
    [TestCase("/dev/ubd0p2", "/dev/vda2")]
    [TestCase("/dev/ubd/0", "/dev/vda")]
    [TestCase("/dev/ubd/1p3", "/dev/vdb3")]
    [TestCase("ubda", "/dev/vda")]
    [TestCase("ubdc12", "/dev/vdc12")]
    [TestCase("ubd2", "/dev/vdc")]
    [TestCase("98:0", "/dev/vda")]
    [TestCase("98:1", "/dev/vda1")]
    [TestCase("98:16", "/dev/vdb")]
    [TestCase("98:35", "/dev/vdc3")]
    [TestCase("/dev/ubdz", "/dev/vdz")]
    [TestCase("/dev/ubd26", "/dev/vdaa")]
    [TestCase("/dev/ubdaa", "/dev/vdaa")]
    [TestCase("/dev/ubd701", "/dev/vdzz")]
    [TestCase("/dev/ubd702", "/dev/vdaaa")]
    public void Unit_n_is_disk_n(string name, string device)
    {
        Assert.That(UmlDeviceNames.TryMapDevice(name, out string? mapped), Is.True);
        Assert.That(mapped, Is.EqualTo(device));
    }

    [TestCase("")]
    [TestCase("/dev/vda")]
    [TestCase("/dev/ubd")]
    [TestCase("/dev/ubd/")]
    [TestCase("/dev/ubd/a")]
    [TestCase("/dev/ubdA")]
    [TestCase("/dev/ubda1x")]
    [TestCase("/dev/ubd0p")]
    [TestCase("/dev/ubd99999999999")]
    [TestCase("/dev/ubd65536")]
    [TestCase("/dev/ubdzzzzzzzzzzzzz")]
    [TestCase("254:0")]
    [TestCase("98:")]
    [TestCase("98:1048576")]
    [TestCase("98:-1")]
    [TestCase("LABEL=ubda")]
    public void Other_names_are_not_umls(string name) => Assert.That(UmlDeviceNames.TryMapDevice(name, out _), Is.False);

    [TestCase("root=/dev/ubda rw quiet", "root=/dev/vda rw quiet")]
    [TestCase("root=98:0", "root=/dev/vda")]
    [TestCase("root=ubda1  ro", "root=/dev/vda1  ro")]
    [TestCase("resume=/dev/ubdb", "resume=/dev/vdb")]
    [TestCase("journal=/dev/ubdc", "journal=/dev/vdc")]
    [TestCase("root=LABEL=ubda ubda=x name=ubda number=98:0", "root=LABEL=ubda ubda=x name=ubda number=98:0")]
    [TestCase("root=/dev/ubdb -- root=/dev/ubda", "root=/dev/vdb -- root=/dev/ubda")]
    [TestCase("/dev/ubda", "/dev/ubda")]
    [TestCase("", "")]
    public void In_a_command_line_only_names_of_disks_change(string line, string mapped) => Assert.That(UmlDeviceNames.Map(line), Is.EqualTo(mapped));
}

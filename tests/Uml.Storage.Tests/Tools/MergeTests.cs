using Uml.Storage.Blocks;
using Uml.Storage.Formats.UmlCow;
using Uml.Storage.Tools;

namespace Uml.Storage.Tests.Tools;

/// <summary>Copy-on-write files merged, by us and by User Mode Linux's own tool.</summary>
public sealed class MergeTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase(3 << 20)]
    [TestCase((1 << 20) + 100)]
    public async Task A_new_image_has_the_contents_of_the_disk_to_the_last_byte_and_the_base_stays(int length)
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], length, 1);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        byte[] contents = await TestImages.WriteAsync(_folder["cow"], image, 2);
        List<DiskCopyProgress> progress = [];

        await DiskImage.ConvertAsync(
            _folder["cow"], DiskImageFormat.UmlCow, _folder["merged"], DiskImageFormat.Raw, progress: new Progress(progress));

        Assert.That(IsSame(_folder["merged"], contents));
        Assert.That(IsSame(_folder["base"], image));
        Assert.That(progress.Max(step => step.Done), Is.EqualTo((length + 511) / 512 * 512));
        Assert.That(Directory.GetFiles(Path.GetDirectoryName(_folder["merged"])!), Has.Length.EqualTo(3), "no temporary file");
    }

    [Test]
    public async Task A_file_of_uml_mkcow_is_merged_by_us_as_by_uml_moo()
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], 2 << 20, 3);
        PeerTool.Run("uml-utilities", "uml_mkcow", _folder["cow"], _folder["base"]);
        byte[] contents = await TestImages.WriteAsync(_folder["cow"], image, 4);

        PeerTool.Run("uml-utilities", "uml_moo", _folder["cow"], _folder["theirs"]);
        await DiskImage.ConvertAsync(_folder["cow"], DiskImageFormat.UmlCow, _folder["ours"], DiskImageFormat.Raw);

        Assert.That(IsSame(_folder["theirs"], contents));
        Assert.That(IsSame(_folder["ours"], contents));
    }

    [Test]
    public async Task A_merge_into_the_base_is_the_same_as_that_of_uml_moo()
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], 2 << 20, 5);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        byte[] contents = await TestImages.WriteAsync(_folder["cow"], image, 6);
        File.Copy(_folder["base"], _folder["base2"]);
        File.SetLastWriteTimeUtc(_folder["base2"], File.GetLastWriteTimeUtc(_folder["base"]));
        File.Copy(_folder["cow"], _folder["cow2"]);
        UmlCowBlockDevice.Open(_folder["cow2"], new UmlCowOptions { BackingPath = _folder["base2"] }).DisposeAsync().AsTask().Wait();

        PeerTool.Run("uml-utilities", "uml_moo", "-d", _folder["cow2"]);
        string merged = await DiskImage.CommitAsync(_folder["cow"], DiskImageFormat.UmlCow);

        Assert.That(merged, Is.EqualTo(_folder["base"]));
        Assert.That(IsSame(_folder["base"], contents));
        Assert.That(IsSame(_folder["base2"], contents));
    }

    [Test]
    public async Task A_merge_into_the_base_keeps_the_last_sector_in_part()
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], (1 << 20) + 100, 7);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        byte[] contents = await TestImages.WriteAsync(_folder["cow"], image, 8);
        await DiskImage.CommitAsync(_folder["cow"], DiskImageFormat.UmlCow);
        Assert.That(IsSame(_folder["base"], contents));
    }

    [Test]
    public async Task A_merge_that_is_cancelled_leaves_neither_a_new_image_nor_a_trace_in_the_base()
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], 8 << 20, 9);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        using CancellationTokenSource cancellation = new();

        await Assert.ThatAsync(
            () => DiskImage.ConvertAsync(
                _folder["cow"], DiskImageFormat.UmlCow, _folder["merged"], DiskImageFormat.Raw, progress: new CancelOn(cancellation), cancellationToken: cancellation.Token),
            Throws.InstanceOf<OperationCanceledException>());

        Assert.That(IsSame(_folder["base"], image));
        Assert.That(Directory.GetFiles(Path.GetDirectoryName(_folder["merged"])!), Has.Length.EqualTo(2));
    }

    [Test]
    public async Task A_merge_into_the_base_that_was_cut_off_can_be_repeated_and_the_disk_stays_whole()
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], 8 << 20, 10);
        File.SetLastWriteTimeUtc(_folder["base"], DateTime.UtcNow.AddDays(-1));
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        UmlCowBlockDevice.Create(_folder["other"], _folder["base"]);
        byte[] contents = await TestImages.WriteAsync(_folder["cow"], image, 11);
        using CancellationTokenSource cancellation = new();

        await Assert.ThatAsync(
            () => DiskImage.CommitAsync(
                _folder["cow"], DiskImageFormat.UmlCow, new DiskCopyOptions { ParallelRequests = 1 }, new CancelOn(cancellation), cancellation.Token),
            Throws.InstanceOf<OperationCanceledException>());

        Assert.That(IsSame(_folder["base"], image), Is.False);
        Assert.That(() => UmlCowBlockDevice.Open(_folder["other"]), Throws.TypeOf<DiskImageException>());
        await using (UmlCowBlockDevice device = UmlCowBlockDevice.Open(_folder["cow"]))
        {
            Assert.That((await TestImages.ReadAsync(device)).AsSpan().SequenceEqual(contents));
        }

        await DiskImage.CommitAsync(_folder["cow"], DiskImageFormat.UmlCow);
        Assert.That(IsSame(_folder["base"], contents));
    }

    [Test]
    public async Task A_merge_into_a_base_that_another_file_uses_is_refused()
    {
        TestImages.MakeRaw(_folder["base"], 1 << 20, 12);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        UmlCowBlockDevice.Create(_folder["other"], _folder["base"]);
        await using UmlCowBlockDevice other = UmlCowBlockDevice.Open(_folder["other"]);

        await Assert.ThatAsync(
            () => DiskImage.CommitAsync(_folder["cow"], DiskImageFormat.UmlCow),
            Throws.TypeOf<DiskImageException>().With.Message.Contains("another disk of this process"));
    }

    [Test]
    public async Task A_base_that_moved_is_named_and_one_that_changed_is_refused_unless_that_is_accepted()
    {
        byte[] image = TestImages.MakeRaw(_folder["base"], 1 << 20, 13);
        UmlCowBlockDevice.Create(_folder["cow"], _folder["base"]);
        byte[] contents = await TestImages.WriteAsync(_folder["cow"], image, 14);
        File.Move(_folder["base"], _folder["moved"]);
        DiskCopyOptions options = new() { BackingPath = _folder["moved"] };
        await DiskImage.ConvertAsync(_folder["cow"], DiskImageFormat.UmlCow, _folder["merged"], DiskImageFormat.Raw, options);
        Assert.That(IsSame(_folder["merged"], contents));

        File.SetLastWriteTimeUtc(_folder["moved"], new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        await Assert.ThatAsync(
            () => DiskImage.CommitAsync(_folder["cow"], DiskImageFormat.UmlCow, options), Throws.TypeOf<DiskImageException>().With.Message.Contains("2020-01-01"));
        await DiskImage.CommitAsync(_folder["cow"], DiskImageFormat.UmlCow, options with { AcceptsChangedTime = true });
        Assert.That(IsSame(_folder["moved"], contents));
    }

    [Test]
    public async Task A_raw_image_has_nothing_to_be_merged_into() => await Assert.ThatAsync(
        () => DiskImage.CommitAsync("image", DiskImageFormat.Raw), Throws.TypeOf<DiskImageException>().With.Message.Contains("raw"));

    private static bool IsSame(string path, byte[] contents) => File.ReadAllBytes(path).AsSpan().SequenceEqual(contents);

    private sealed class Progress(List<DiskCopyProgress> steps) : IProgress<DiskCopyProgress>
    {
        public void Report(DiskCopyProgress value)
        {
            lock (steps)
            {
                steps.Add(value);
            }
        }
    }

    /// <summary>Cancels when half is done.</summary>
    private sealed class CancelOn(CancellationTokenSource cancellation) : IProgress<DiskCopyProgress>
    {
        public void Report(DiskCopyProgress value)
        {
            if (value.Done >= value.Total / 2)
            {
                cancellation.Cancel();
            }
        }
    }
}
